import { deepStrictEqual, ok, rejects } from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { join } from 'node:path'
import { type ConnectionOptions, connect } from 'node:tls'
import { startKubectl } from '@postern/bootstrap'
import {
  CLUSTER,
  certificateOf,
  type E2eWorld,
  installationAuthority,
  startGatewayProcess,
} from '@postern/e2e/support'
import type { Check } from '../check.ts'
import { bytesOf, overHttp1, rawly } from '../client.ts'
import { expectMatch, expectRefused, expectStatus } from '../expect.ts'
import { openHttp2Session, openHttp2Stream, openOn } from '../open-http2-stream.ts'
import { OPERATOR, type RecordingWorld } from '../recording/recording-world.ts'

const PODS = '/api/v1/namespaces/team/pods'
/** A dashboard's, on one connection. */
const WATCHES = 250
const OPENED_AT_ONCE = 25
const ANSWER_MS_MAX = 30_000
/** The lease, and what a busy machine adds to it. */
const REVOKED_MS_MAX = 10_000

/** The first bytes of an answer on a connection of its own, and what it was agreed to be. */
async function overTls(
  { gatewayPort, e2e }: RecordingWorld,
  bytes: string,
  options: ConnectionOptions = {},
) {
  const socket = connect({ host: '127.0.0.1', port: gatewayPort, ca: e2e.ca, ...options })
  const signal = AbortSignal.timeout(ANSWER_MS_MAX)
  let session: Buffer | undefined
  socket.on('session', (ticket: Buffer) => {
    session = ticket
  })
  try {
    await once(socket, 'secureConnect', { signal })
    const protocol = socket.alpnProtocol
    const resumed = socket.isSessionReused()
    socket.write(bytes)
    const [chunk]: Buffer[] = await once(socket, 'data', { signal })
    return { text: String(chunk), protocol, resumed, session }
  } finally {
    socket.destroy()
  }
}

async function kubectlOverHttp1(world: E2eWorld, args: readonly string[], input?: string) {
  await world.kubectlOf('lead', CLUSTER)
  const run = startKubectl({
    program: world.kubectlProgram,
    kubeconfig: world.kubeconfigFile('lead', CLUSTER),
    cacheDir: join(world.dir, 'cache-http1'),
    args,
    env: { DISABLE_HTTP2: '1' },
    ...(input === undefined ? {} : { input }),
  })
  return await run.ended
}

export const connectionChecks: readonly Check[] = [
  {
    id: 'CN-01',
    title: 'h2 and http/1.1 are offered, and a client that offers nothing is served HTTP/1.1',
    async run(worlds) {
      const world = await worlds.recording()
      const bytes = bytesOf(world, { target: PODS })
      const servername = 'localhost'
      for (const ALPNProtocols of [undefined, ['http/1.1'], ['http/1.1', 'h2']]) {
        const offered = ALPNProtocols === undefined ? {} : { ALPNProtocols }
        const { text, protocol } = await overTls(world, bytes, { servername, ...offered })
        if (protocol !== 'h2') expectMatch(text, /^HTTP\/1\.1 200 /)
        deepStrictEqual(protocol, ALPNProtocols === undefined ? false : ALPNProtocols.at(-1))
      }
      const stream = openHttp2Stream(world, { target: PODS })
      await stream.until('an answer over h2', () => stream.status() === 200)
      stream.close()
    },
  },
  {
    id: 'CN-02',
    title: 'kubectl without HTTP/2 does all that it does with it',
    async run(worlds) {
      const world = await worlds.cluster()
      const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'over-http1' } }
      const steps: [string[], string?][] = [
        [['get', 'pods', '-n', 'team']],
        [['apply', '-n', 'team', '-f', '-'], JSON.stringify(configMap)],
        [['apply', '--server-side', '-n', 'team', '-f', '-'], JSON.stringify(configMap)],
        [['exec', 'box', '-n', 'team', '--', 'echo', 'hello']],
        [['logs', 'box', '-n', 'team', '--tail=1']],
        [['delete', 'configmap', 'over-http1', '-n', 'team']],
      ]
      for (const [args, input] of steps) {
        const { code, stderr } = await kubectlOverHttp1(world, args, input)
        deepStrictEqual(
          { args, code, stderr: code === 0 ? '' : stderr },
          { args, code: 0, stderr: '' },
        )
      }
    },
  },
  {
    id: 'CN-03',
    title: `${WATCHES} watches stand on one connection, and an ordinary request beside them`,
    async run(worlds) {
      const world = await worlds.recording()
      world.api.handlers.request = (arrived, response) => {
        response.writeHead(200).flushHeaders()
        if (!arrived.target.includes('watch')) response.end('{}')
      }
      const session = openHttp2Session(world)
      const target = `${PODS}?watch=1`
      for (let open = 0; open < WATCHES; open += OPENED_AT_ONCE) {
        const streams = Array.from({ length: OPENED_AT_ONCE }, () =>
          openOn({ session, host: world.host }, { target, token: world.token }),
        )
        for (const stream of streams) await stream.until('a watch', () => stream.status() === 200)
      }
      ok((session.remoteSettings.maxConcurrentStreams ?? 0) >= WATCHES)
      const beside = openOn({ session, host: world.host }, { target: PODS, token: world.token })
      await beside.until('an answer', () => beside.reset() === 0)
      deepStrictEqual([beside.status(), beside.text()], [200, '{}'])
      deepStrictEqual(world.api.arrived.length, WATCHES + 1)
      session.destroy()
    },
  },
  {
    id: 'CN-04',
    title: "who asks is looked at with every request: of two in one write the second is another's",
    async run(worlds) {
      const world = await worlds.recording()
      const nobody = `ptk_${'x'.repeat(43)}`
      const [mine, other] = [bytesOf(world, { target: PODS }), { target: PODS, token: nobody }]
      const { text, closed } = await rawly(world, mine + bytesOf(world, other))
      deepStrictEqual(text.match(/HTTP\/1\.1 \d{3}/g), ['HTTP/1.1 200', 'HTTP/1.1 401'])
      ok(closed, "nobody's connection is closed")
      deepStrictEqual(world.api.arrived.length, 1)
    },
  },
  {
    id: 'CN-04',
    title: 'on a connection that stays, the stream after a revocation is 401',
    async run(worlds) {
      const world = await worlds.recording()
      const { secret: token, id } = await world.e2e.token(OPERATOR)
      const session = openHttp2Session(world)
      const ask = async (on = session, target = PODS) => {
        const stream = openOn({ session: on, host: world.host }, { target, token })
        await stream.until('an answer', () => stream.reset() !== undefined)
        return stream.status()
      }
      const answers = [await ask()]
      await world.e2e.admin.api.call('DELETE', `/v1/tokens/${id}`)
      const revokedAt = performance.now()
      // It bites within the lease.
      while (answers.at(-1) !== 401 && performance.now() - revokedAt < REVOKED_MS_MAX) {
        answers.push(await ask())
      }
      session.destroy()
      // The 401 may be of a request that had gone on and was cut. No later one goes on.
      const [another, later] = [openHttp2Session(world), `${PODS}/later`]
      answers.push(await ask(another, later))
      another.destroy()
      deepStrictEqual([answers[0], ...answers.slice(-2)], [200, 401, 401])
      ok(!world.api.arrived.some(({ target }) => target === later))
    },
  },
  {
    id: 'CN-05',
    title: 'a client certificate signs nobody in, shown or brought along by a resumed TLS session',
    async run(worlds) {
      const world = await worlds.recording()
      const credentials = await certificateOf(installationAuthority(world.e2e), `user/${OPERATOR}`)
      const bytes = bytesOf(world, { target: PODS, token: '' })
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const options = { servername: 'localhost', maxVersion }
        const first = await overTls(world, bytes, { ...options, ...credentials })
        expectMatch(first.text, /^HTTP\/1\.1 401 /)
        const { session } = first
        if (session === undefined) continue
        const again = await overTls(world, bytes, { ...options, session })
        expectMatch(again.text, /^HTTP\/1\.1 401 /)
      }
      deepStrictEqual(world.api.arrived, [])
    },
  },
  {
    id: 'CN-06',
    title:
      'the name in TLS, Host and route agree, or it is 421; on one h2 connection each request goes its own way',
    async run(worlds) {
      const world = await worlds.recording()
      const other = `${CLUSTER}.postern.localhost`
      const options = { servername: other, checkServerIdentity: () => undefined }
      for (const target of [PODS, `${world.prefix}${PODS}`]) {
        const { text } = await overTls(world, bytesOf(world, { target }), options)
        expectMatch(text, /^HTTP\/1\.1 421 /)
      }
      deepStrictEqual(world.api.arrived, [])
      const session = openHttp2Session(world)
      const ask = async (host: string, target = PODS) => {
        const stream = openOn({ session, host }, { target, token: world.token })
        await stream.until('an answer', () => stream.reset() !== undefined)
        return { status: stream.status(), arrived: world.api.arrived.length }
      }
      deepStrictEqual(await ask(world.host), { status: 200, arrived: 1 })
      // The operator of this cluster has nothing to ask of the other one.
      deepStrictEqual(await ask(other), { status: 403, arrived: 1 })
      deepStrictEqual(await ask('localhost', `${world.prefix}${PODS}`), { status: 200, arrived: 2 })
      // The host names a cluster: the path is the cluster's own.
      deepStrictEqual((await ask(other, `${world.prefix}${PODS}`)).arrived, 2)
      session.destroy()
    },
  },
  {
    id: 'CN-06',
    title: 'one host, whatever case and port it is written with; what names none is refused',
    async run(worlds) {
      const world = await worlds.recording()
      for (const host of [world.host.toUpperCase(), `${world.host}:8443`, `${world.host}.`]) {
        const bytes = bytesOf({ ...world, host }, { target: PODS, lines: ['Connection: close'] })
        expectStatus(await rawly(world, bytes), 200)
        world.api.reset()
      }
      for (const host of ['a@b', `${world.host}/x`, 'x y', `${world.host}:x`, '[::1', 'recorded']) {
        const bytes = bytesOf({ ...world, host }, { target: PODS, lines: ['Connection: close'] })
        expectRefused(world, await rawly(world, bytes), 400, 403)
      }
    },
  },
  {
    id: 'ER-09',
    title:
      'a gateway that stops tells its clients to go elsewhere, lets what runs end, and then takes nothing any more',
    async run(worlds) {
      const world = await worlds.cluster()
      const { secret: token } = await world.token('lead')
      const settings = {
        POSTERN_GATEWAY_DRAIN_NOTICE_SECONDS: '1',
        POSTERN_GATEWAY_DRAIN_SECONDS: '20',
      }
      const gateway = await startGatewayProcess(world, 'leaving', { settings })
      const session = connectHttp2(gateway.url, { ca: world.ca })
      session.on('error', () => {})
      try {
        const toldSo = once(session, 'goaway', { signal: AbortSignal.timeout(ANSWER_MS_MAX) })
        const target = `/clusters/${CLUSTER}${PODS}?watch=true&timeoutSeconds=3`
        const on = { session, host: 'localhost' }
        const watch = openOn(on, { target, token })
        await watch.until('an event', () => watch.text().includes('"ADDED"'))
        const stopped = gateway.kill('SIGTERM')
        await toldSo
        await watch.until('its end', () => watch.reset() !== undefined)
        deepStrictEqual({ status: watch.status(), reset: watch.reset() }, { status: 200, reset: 0 })
        await stopped
        deepStrictEqual(await gateway.ended, 0)
        await rejects(gateway.ask(token, { path: PODS }), /ECONNREFUSED/)
      } finally {
        session.destroy()
        await gateway.kill()
      }
    },
  },
  {
    id: 'CN-07',
    title: 'below a path a cluster is the same, and its name keeps apart what clients cache by it',
    async run(worlds) {
      const world = await worlds.cluster()
      const { admin, platform } = world
      const kubectl = await world.kubectlOf('lead', CLUSTER)
      const file = readFileSync(world.kubeconfigFile('lead', CLUSTER), 'utf8')
      const server = /server: (\S+)/.exec(file)?.[1] ?? ''
      deepStrictEqual(server, `${platform.gatewayUrl}/clusters/${CLUSTER}`)
      const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'below' } }
      await kubectl.ok(['apply', '-n', 'team', '-f', '-'], JSON.stringify(configMap))
      await kubectl.ok(['get', 'pods', '-n', 'team'])
      await kubectl.ok(['explain', 'pod.spec'])
      await kubectl.ok(['exec', 'box', '-n', 'team', '--', 'true'])
      await kubectl.ok(['delete', 'configmap', 'below', '-n', 'team'])
      const order = { labels: {}, installLevel: 'INSTALL_LEVEL_VIEW' }
      for (const name of ['a_b', 'a.b', 'A', '-a', 'a-', 'a/b', '']) {
        const refused = await admin.api.call('POST', '/v1/clusters', { name, ...order }).then(
          () => false,
          () => true,
        )
        ok(refused, `a cluster may be called "${name}"`)
      }
      const recording = await worlds.recording()
      expectStatus(await overHttp1(recording, { target: PODS }), 200)
      for (const path of [
        `/clusters//recorded${PODS}`,
        `/clusters/recorded%2F${PODS}`,
        '/clusters',
      ]) {
        const bytes = bytesOf({ ...recording, host: 'localhost' }, { target: path })
        recording.api.reset()
        expectRefused(
          recording,
          await rawly(recording, bytes, (text) => text.includes('}')),
          400,
          403,
        )
      }
    },
  },
]
