import { environment } from '../../config.ts'
import { eventually, expectThat } from '../expect.ts'
import { type KubectlExercise, kubectl, outcome } from './exercise.ts'

const WEB = `require('http').createServer((q, s) => s.end('hello ' + q.url)).listen(8080, process.env.POD_IP)`

function pod(name: string, command: readonly string[], stdin = false): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'c', image: 'c', command, stdin }],
    },
  }
}

/** The pods that exercises of streams talk to. One List: kubectl 1.31 takes the first of several JSON documents. */
export const exercisePods = JSON.stringify({
  apiVersion: 'v1',
  kind: 'List',
  items: [
    pod('talk', ['sh', '-c', 'echo one; echo two; echo three; sleep infinity']),
    pod('echo', ['sh', '-c', 'while read line; do echo "heard $line"; done'], true),
    pod('web', [environment.node, '-e', WEB]),
  ],
})

/** Pods are made, which the exercises of streams need, and their logs read. */
export const podExercises: readonly KubectlExercise[] = [
  {
    title: 'apply pods',
    play: (way, program) => outcome(program, way, ['apply', '-f', '-'], { input: exercisePods }),
  },
  {
    title: 'wait for pods',
    play: (way, program) =>
      outcome(program, way, [
        'wait',
        '--for=condition=Ready',
        'pod/talk',
        'pod/echo',
        'pod/web',
        '--timeout=60s',
      ]),
  },
  {
    title: 'logs',
    play: (way, program) =>
      eventually('the log', 10_000, async () => {
        const text = await outcome(program, way, ['logs', 'talk'])
        expectThat(text.includes('three'), 'all lines', text)
        return text
      }),
  },
  {
    title: 'logs -f',
    async play(way, program) {
      const follow = kubectl(program, way, ['logs', '-f', 'talk'])
      await follow.untilOutput('three')
      await follow.kill()
      return follow.stdout()
    },
  },
  {
    title: 'logs of a container that is not there',
    play: (way, program) => outcome(program, way, ['logs', 'talk', '-c', 'x']),
  },
]
