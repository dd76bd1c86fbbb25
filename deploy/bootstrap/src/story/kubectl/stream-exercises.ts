import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runTerminal } from '../background-kubectl.ts'
import { eventually, expectEqual, expectThat } from '../expect.ts'
import { cacheOf, type KubectlExercise, kubectl, outcome, type Way } from './exercise.ts'

const BIG_BYTES = 5_000_000
type Environment = Readonly<Record<string, string>>

/** Streams in both directions, over the protocol that kubectl is told to use where it has both. */
export function streamExercises(protocol: 'websocket' | 'spdy'): readonly KubectlExercise[] {
  const flag = protocol === 'websocket' ? 'true' : 'false'
  const env = { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: flag, KUBECTL_PORT_FORWARD_WEBSOCKETS: flag }
  const input = randomBytes(1_000_000).toString('base64')
  const exercises: readonly KubectlExercise[] = [
    {
      title: 'exec with an exit code',
      play: (way, program) =>
        outcome(
          program,
          way,
          ['exec', 'talk', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7'],
          { env },
        ),
    },
    {
      title: 'exec -i with a megabyte of stdin',
      play: (way, program) =>
        outcome(program, way, ['exec', '-i', 'talk', '--', 'sha256sum'], { env, input }),
    },
    {
      title: 'exec of what does not exist',
      async play(way, program) {
        const args = ['exec', 'talk', '--', 'no-such-program']
        const text = await outcome(program, way, args, { env })
        return text.replaceAll(/exec: .*/g, 'exec: …')
      },
    },
    {
      title: 'exec -it on a terminal',
      play: (way, program) =>
        runTerminal({
          program,
          kubeconfig: way.kubeconfig,
          cacheDir: cacheOf(way),
          env,
          args: [
            '-n',
            way.namespace,
            'exec',
            '-it',
            'talk',
            '--',
            'sh',
            '-c',
            // The size comes on a stream of its own, which the shell may be ahead of.
            'tty >/dev/null && echo terminal; until [ "$(stty size)" != "0 0" ]; do sleep 0.05; done; stty size; exit 3',
          ],
        }),
    },
    {
      title: 'attach with stdin',
      async play(way, program) {
        const args = ['attach', '-i', 'echo']
        const attached = kubectl(program, way, args, { env, keepStdinOpen: true })
        // The container may read before the attachment is there; what is sent until it is there is repeated.
        await eventually('an answer', 15_000, async () => {
          attached.write(`hello ${protocol}\n`)
          expectThat(
            attached.stdout().includes(`heard hello ${protocol}`),
            'an answer',
            attached.stdout(),
          )
        })
        await attached.kill()
        return 'heard'
      },
    },
    {
      title: 'cp to the pod and back',
      play: (way, program) => copyBothWays(program, way, env),
    },
    { title: 'port-forward', play: (way, program) => forwardPort(program, way, env) },
  ]
  return exercises.map(({ title, play }) => ({ title: `${title} (${protocol})`, play }))
}

async function copyBothWays(program: string, way: Way, env: Environment): Promise<string> {
  const folder = join(way.dir, `cp-${way.name}`)
  mkdirSync(folder, { recursive: true })
  const big = randomBytes(BIG_BYTES)
  writeFileSync(join(folder, 'big'), big)
  const remote = `${way.namespace}/talk:tmp/big`
  const to = await outcome(program, way, ['cp', join(folder, 'big'), remote], { env })
  const back = await outcome(program, way, ['cp', remote, join(folder, 'back')], { env })
  const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  expectEqual(hash(readFileSync(join(folder, 'back'))), hash(big), 'the bytes that came back')
  return `${to}${back}`
}

async function forwardPort(program: string, way: Way, env: Environment): Promise<string> {
  const forward = kubectl(program, way, ['port-forward', 'pod/web', ':8080'], { env })
  const line = await forward.untilOutput(/Forwarding from 127\.0\.0\.1:(\d+)/)
  const port = /127\.0\.0\.1:(\d+)/.exec(line)?.[1] ?? ''
  const answers: string[] = []
  for (const path of ['/a', '/b', '/c']) {
    const response = await fetch(`http://127.0.0.1:${port}${path}`)
    answers.push(await response.text())
  }
  await forward.kill()
  return answers.join(' ')
}
