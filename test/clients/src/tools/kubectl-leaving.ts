import { readFileSync } from 'node:fs'
import { eventually, kubectl } from '@postern/bootstrap'
import type { Exercise } from '../tool.ts'
import type { ClientWay } from '../ways.ts'

const SEEN_MS_MAX = 30_000

type Request = { readonly stage: string; readonly requestURI: string }

/** What the cluster's own audit log says of the requests below a path of the way's namespace. */
function requestsBelow({ auditLog, namespace }: ClientWay, path: string): readonly Request[] {
  return readFileSync(auditLog, 'utf8')
    .split('\n')
    .filter((line) => line.includes(`/namespaces/${namespace}/${path}`))
    .map((line): Request => JSON.parse(line))
}

type Leaving = {
  readonly title: string
  readonly args: readonly string[]
  readonly said: RegExp
  readonly path: string
  readonly env?: Readonly<Record<string, string>>
}

const SPDY = {
  KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false',
  KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false',
}
const EXEC = ['exec', '-i', 'talk', '--', 'sh', '-c', 'echo ready; cat']

const LEAVINGS: readonly Leaving[] = [
  {
    title: 'get -w',
    args: ['get', 'serviceaccounts', '-w'],
    said: /default/,
    path: 'serviceaccounts?',
  },
  { title: 'logs -f', args: ['logs', '-f', 'talk'], said: /three/, path: 'pods/talk/log' },
  { title: 'exec (websocket)', args: EXEC, said: /ready/, path: 'pods/talk/exec' },
  { title: 'exec (spdy)', args: EXEC, said: /ready/, path: 'pods/talk/exec', env: SPDY },
  {
    title: 'port-forward (websocket)',
    args: ['port-forward', 'pod/web', ':8080'],
    said: /Forwarding/,
    path: 'pods/web/portforward',
  },
  {
    title: 'port-forward (spdy)',
    args: ['port-forward', 'pod/web', ':8080'],
    said: /Forwarding/,
    path: 'pods/web/portforward',
    env: SPDY,
  },
]

/** A client that is gone leaves nothing running: the cluster sees its request end. */
export function leavingExercises(program: () => Promise<string>): readonly Exercise[] {
  return LEAVINGS.map(({ title, args, said, path, env = {} }) => ({
    title: `${title}, whose client is killed, ends in the cluster`,
    async play(way) {
      const seen = (wanted: 'ResponseStarted' | 'ResponseComplete') =>
        requestsBelow(way, path).filter(
          ({ stage, requestURI }) => stage === wanted && !/limit=/.test(requestURI),
        ).length
      const [started, ended] = [seen('ResponseStarted'), seen('ResponseComplete')]
      const running = kubectl(await program(), way, args, { env, keepStdinOpen: true })
      await running.untilOutput(said)
      // What was listed is said before the watch has begun.
      await eventually('the cluster to see it begin', SEEN_MS_MAX, async () => {
        if (seen('ResponseStarted') !== started + 1) throw new Error('it has not begun')
        await Promise.resolve()
      })
      if (seen('ResponseComplete') !== ended) throw new Error('it has ended before')
      await running.kill()
      await eventually('the cluster to see the end', SEEN_MS_MAX, async () => {
        if (seen('ResponseComplete') !== ended + 1) throw new Error('it has not ended')
        await Promise.resolve()
      })
      return 'ended'
    },
  }))
}
