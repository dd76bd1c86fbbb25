import { deepStrictEqual } from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { type BackgroundKubectl, startKubectl } from '@postern/bootstrap'
import type { Check } from '../check.ts'
import { expectMatch } from '../expect.ts'
import type { Arrived } from '../recording/api-server.ts'
import type { RecordingWorld } from '../recording/recording-world.ts'

type Way = { readonly server: string; readonly ca: string; readonly token: string }
/** How the API server goes on once the client has read what it began with. */
type Ending = {
  readonly how: string
  /** `half`: of what would come next. */
  readonly end: (response: ServerResponse, half: string) => void
}
type Shown = { readonly code: number; readonly stdout: string; readonly stderr: string }

const LINE = 'tick\n'
const ADDED = event('first')
const SHOWN = 'pod/first\n'
const REST = 'tock\n'.repeat(100_000)
/** Go's HTTP/1.1 client, of a body that ends before its last chunk. */
const BROKEN_OVER_HTTP1 = /^error: unexpected EOF\n$/
/** Its HTTP/2 client, of a stream that its server broke off. */
const BROKEN_OVER_HTTP2 =
  /^error: stream error: stream ID \d+; INTERNAL_ERROR; received from peer\n$/

const PROTOCOLS = [
  { protocol: 'HTTP/1.1', env: { DISABLE_HTTP2: '1' }, broken: BROKEN_OVER_HTTP1 },
  { protocol: 'HTTP/2', env: {}, broken: BROKEN_OVER_HTTP2 },
] as const

const BETWEEN_CHUNKS: Ending = {
  how: 'between two chunks',
  end: (response) => void response.destroy(),
}
const IN_A_CHUNK: Ending = {
  how: 'in the middle of a chunk',
  end: ({ socket }, half) => void socket?.write(`ff\r\n${half}`, () => socket.destroy()),
}
const BY_LAST_CHUNK: Ending = {
  how: 'by its last chunk',
  end: (response) => void response.end(),
}

/** What kubectl asks for before it comes to what it was told to do. */
const PREPARATIONS: Readonly<Record<string, object>> = {
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [] },
  '/api/v1': {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [
      { name: 'pods', singularName: 'pod', namespaced: true, kind: 'Pod', verbs: ['get', 'watch'] },
    ],
  },
  '/api/v1/namespaces/team/pods/p': pod('p'),
  '/api/v1/namespaces/team/pods': {
    kind: 'PodList',
    apiVersion: 'v1',
    metadata: { resourceVersion: '1' },
    items: [],
  },
}

/** What an answer that goes on for long means by its end, as kubectl shows it: beside Postern and behind it. */
export const endChecks: readonly Check[] = PROTOCOLS.flatMap(
  ({ protocol, env, broken }): Check[] => [
    ...[BETWEEN_CHUNKS, IN_A_CHUNK].map(
      (ending): Check => ({
        id: 'ST-10',
        title: `kubectl logs -f over ${protocol} fails behind Postern as without it when the answer breaks off ${ending.how}`,
        async run(worlds) {
          const { direct, postern } = await followed(await worlds.recording(), { env, ending })
          deepStrictEqual(direct.code, 1)
          expectMatch(direct.stderr, BROKEN_OVER_HTTP1)
          deepStrictEqual({ ...postern, stderr: '' }, { ...direct, stderr: '' })
          expectMatch(postern.stderr, broken)
        },
      }),
    ),
    {
      id: 'ST-10',
      title: `kubectl logs -f over ${protocol} is content behind Postern, with all that was said, when the answer ends`,
      async run(worlds) {
        const ending: Ending = { ...BY_LAST_CHUNK, end: (response) => void response.end(REST) }
        const { direct, postern } = await followed(await worlds.recording(), { env, ending })
        deepStrictEqual(direct, { code: 0, stdout: LINE + REST, stderr: '' })
        deepStrictEqual(postern, direct)
      },
    },
    ...[BETWEEN_CHUNKS, BY_LAST_CHUNK].map(
      (ending): Check => ({
        id: 'ST-10',
        title: `kubectl get -w over ${protocol} shows the same events and exits the same behind Postern when the watch ends ${ending.how}`,
        async run(worlds) {
          const { direct, postern } = await watched(await worlds.recording(), { env, ending })
          deepStrictEqual(direct.stdout, SHOWN)
          deepStrictEqual(postern, direct)
        },
      }),
    ),
    {
      id: 'ST-10',
      title: `kubectl get -w over ${protocol} does not take an event that breaks off for one, behind Postern as without it`,
      async run(worlds) {
        const order = { env, ending: IN_A_CHUNK }
        const { direct, postern } = await watched(await worlds.recording(), order)
        deepStrictEqual(direct.stdout, SHOWN)
        // client-go makes an ERROR event of any answer that is broken off over HTTP/2.
        const stdout = protocol === 'HTTP/2' ? `${SHOWN}status/<unknown>\n` : SHOWN
        deepStrictEqual(postern, { ...direct, stdout })
      },
    },
  ],
)

const followed = (world: RecordingWorld, how: Pick<Played, 'env' | 'ending'>) =>
  onBothWays(world, {
    ...how,
    args: ['logs', '-f', 'p'],
    type: 'text/plain',
    begins: LINE,
    half: 'to',
    shows: LINE,
  })

const watched = (world: RecordingWorld, how: Pick<Played, 'env' | 'ending'>) =>
  onBothWays(world, {
    ...how,
    args: ['get', 'pods', '-w', '-o', 'name'],
    type: 'application/json',
    begins: ADDED,
    half: ADDED.slice(0, 40),
    shows: SHOWN,
  })

/** The same kubectl to the same API server, first without Postern, then through it. */
async function onBothWays(world: RecordingWorld, order: Played) {
  const { api, e2e, prefix, token } = world
  const direct = { server: `https://${api.address}`, ca: api.ca, token: 'of-nobody-here' }
  const postern = { server: e2e.platform.gatewayUrl + prefix, ca: e2e.ca, token }
  return {
    direct: await played(world, direct, order),
    postern: await played(world, postern, order),
  }
}

type Played = {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly type: string
  /** What the answer begins with, and what kubectl prints of it. */
  readonly begins: string
  readonly shows: string
  readonly half: string
  readonly ending: Ending
}

async function played(world: RecordingWorld, way: Way, order: Played): Promise<Shown> {
  let running: ServerResponse | undefined
  world.api.handlers.request = (arrived, response) => {
    if (prepares(arrived, response)) return
    running = response
    response.writeHead(200, { 'content-type': order.type }).write(order.begins)
  }
  const run = startOn(world, way, order)
  try {
    await run.untilOutput(order.shows)
    if (running === undefined) throw new Error('nothing was asked for')
    order.ending.end(running, order.half)
    const { code, stdout, stderr } = await run.ended
    return { code, stdout, stderr: withoutNotices(stderr) }
  } finally {
    await run.kill()
  }
}

function startOn({ e2e }: RecordingWorld, way: Way, { args, env }: Played): BackgroundKubectl {
  const [ca, kubeconfig] = [join(e2e.dir, 'ends-ca.crt'), join(e2e.dir, 'ends.kubeconfig')]
  writeFileSync(ca, way.ca)
  writeFileSync(kubeconfig, '', { mode: 0o600 })
  const where = [`--server=${way.server}`, `--certificate-authority=${ca}`, `--token=${way.token}`]
  return startKubectl({
    program: e2e.kubectlProgram,
    kubeconfig,
    cacheDir: join(e2e.dir, 'ends-cache'),
    args: [...where, '-n', 'team', ...args],
    env,
  })
}

/** Answers what comes before the answer that the check is about. */
function prepares({ target }: Arrived, response: ServerResponse): boolean {
  const [path = '', query = ''] = target.split('?')
  const answer = PREPARATIONS[path]
  if (answer === undefined || query.includes('watch=')) return false
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  return true
}

function pod(name: string): object {
  const metadata = { name, namespace: 'team', resourceVersion: '2' }
  const spec = { containers: [{ name: 'c', image: 'c' }] }
  return { kind: 'Pod', apiVersion: 'v1', metadata, spec, status: { phase: 'Running' } }
}

function event(name: string): string {
  return `${JSON.stringify({ type: 'ADDED', object: pod(name) })}\n`
}

/** client-go says that it was told to do without HTTP/2. */
function withoutNotices(stderr: string): string {
  return stderr.replaceAll(/^I\d{4} .*\n/gm, '')
}
