import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, connect as netConnect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { type TLSSocket, connect as tlsConnect } from 'node:tls'
import {
  type Cluster,
  createDecider,
  type Grant,
  nextChangeAt,
  type PolicyRule,
  type Role,
  type Snapshot,
  type User,
} from '@postern/access'
import {
  decodeRequestHead,
  encodeResponseHead,
  type HeaderLines,
  type RequestHead,
} from '@postern/kube-http'
import { createMuxSession, type MuxSession, type MuxStream, toDuplex } from '@postern/mux'
import { createTestAuthority } from '@postern/pki/testing'
import { createLog, createMetrics } from '@postern/telemetry'
import { NoAgentError } from '@postern/tunnel'
import { createRecorder } from '../../src/audit/recorder.ts'
import { openSpool, type Spool } from '../../src/audit/spool.ts'
import { createNodeFront } from '../../src/front/node-front.ts'
import { createRequestLimiter, type RequestLimits } from '../../src/limits/request-limits.ts'
import { createTokenBucket } from '../../src/limits/token-bucket.ts'
import { createRequestHandler } from '../../src/request/handle-request.ts'
import { readExactly } from '../../src/request/read-exactly.ts'
import { createSessionActivity } from '../../src/session/session-activity.ts'
import { gatewaySignals } from '../../src/signals.ts'
import { createLiveRequests } from '../../src/streams/live-requests.ts'
import { reviewRight } from '../../src/streams/review-right.ts'

export const TOKEN = `ptk_${'a'.repeat(43)}`
export const OTHER_TOKEN = `ptk_${'b'.repeat(43)}`
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** One plain request as the recording agent got it, and how to answer it. */
export type Received = {
  readonly head: RequestHead
  readonly body: Duplex
  /** Resolves with the whole body. */
  readonly content: Promise<Buffer>
  readonly closed: Promise<void>
  respond(status: number, headers: HeaderLines): Duplex
}

/** A real front over TLS, the real way of a request, and an agent that records what reaches it. */
export async function startGateway(options: { limits?: Partial<RequestLimits> } = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'postern-gateway-'))
  const material = await (await createTestAuthority()).material('gateway/g1', {
    dnsNames: ['demo.localhost', 'gw.test'],
  })
  const lines: string[] = []
  const log = createLog({
    name: 'test',
    level: 'debug',
    stream: { write: (line) => void lines.push(line) },
  })
  const spool = await openSpool({ dir, bytesMax: 64 * 1024 * 1024 })
  const now = () => new Date()
  const signals = gatewaySignals(createMetrics('gateway'))
  const world = createWorld()
  const agent = await startAgent()
  const decider = createDecider()
  const sessionsOver = new Set<string>()
  const state = { lease: true, agentOnline: true, spoolRoom: true, sessionDelay: Promise.resolve() }
  const recorder = createRecorder({
    spool,
    now,
    anonymousBudget: createTokenBucket({ perSecond: 1e6, burst: 1e6 }),
    onLost: () => signals.recordsLost.inc(),
    log,
  })
  const rights = {
    snapshot: () => world.snapshot,
    tokenBySha256: (hash: string) => world.tokens.get(hash),
    isSessionOver: (sessionId: string) => sessionsOver.has(sessionId),
    decider,
    nextChangeAt,
  }
  const live = createLiveRequests({
    review: (request) => reviewRight(request, rights, now()),
    nowMs: Date.now,
    shortGraceMs: 300,
  })
  const handle = createRequestHandler({
    gateway: 'g1',
    view: {
      domain: 'gw.test',
      leaseValid: () => state.lease,
      snapshot: () => world.snapshot,
      tokenBySha256: (hash) => world.tokens.get(hash),
      clusterByName: (name) => [...world.snapshot.clusters.values()].find((c) => c.name === name),
      decide: (snapshot, requester, info, at) => decider.decide(snapshot, requester, info, at),
    },
    positions: () => ({ identity: 1n, policy: 2n, 'tunnel-broker': 3n }),
    now,
    limiter: createRequestLimiter({
      running: 10_000,
      shortPerUser: 10_000,
      streamsPerUser: 10_000,
      perSecondPerUser: 1e6,
      burstPerUser: 1e6,
      ...options.limits,
    }),
    async sessionOf(userId, clusterId) {
      await state.sessionDelay
      const expiresAtMs = Date.now() + 3_600_000
      return { id: `session-of-${userId}`, userId, clusterId, account: 'ptr-account', expiresAtMs }
    },
    activity: createSessionActivity({ report: async () => {}, now, log }),
    spoolHasRoom: () => state.spoolRoom,
    recorder,
    tunnels: {
      session: async (clusterId) => {
        if (!state.agentOnline) throw new NoAgentError(clusterId)
        return agent.session()
      },
      upgrade: async (clusterId) => {
        if (!state.agentOnline) throw new NoAgentError(clusterId)
        return { socket: await agent.upgradeSocket(), agentId: 'a1' }
      },
      keepOnly: () => {},
      close: async () => {},
    },
    live,
    selfReview: {
      compiled: (userId, clusterId) => decider.compiled(world.snapshot, { userId, clusterId }),
      now,
    },
    signals,
    log,
  })
  const malformed: string[] = []
  const front = createNodeFront({
    host: '127.0.0.1',
    port: 0,
    certificate: material,
    connectionsMax: 1_000,
    handle,
    onMalformed: (_address, problem) => void malformed.push(problem),
  })
  const { port } = await front.listen()

  return {
    port,
    world,
    agent,
    state,
    live,
    front,
    log: lines,
    malformed,
    sessionsOver,
    ca: material.ca,
    /** Everything that was recorded since the last call, parsed. */
    records: () => readRecords(spool),
    /** The next record of an outcome; those before it are passed over. */
    async outcome(): Promise<AuditEvent> {
      for (let tries = 0; tries < 1_000; tries += 1) {
        const found = (await readRecords(spool)).find(({ stage }) => stage === 'ResponseComplete')
        if (found !== undefined) return found
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      throw new Error('no outcome was recorded in time')
    },
    /** Sends raw bytes over TLS and answers all that comes back until the server closes or is silent. */
    raw: (bytes: string | Buffer, patience?: RawPatience) => rawExchange(port, bytes, patience),
    connect: (alpn?: string[]) => tlsTo(port, alpn),
    async close() {
      live.close()
      await front.close(100)
      await agent.close()
      await spool.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

export type Gateway = Awaited<ReturnType<typeof startGateway>>

/** Alice may do everything in namespace "team" of cluster "demo", and read pods everywhere. */
function createWorld() {
  const tokens = new Map<string, { tokenId: string; userId: string; expiresAt: string }>()
  const users = new Map<string, User>()
  const roles = new Map<string, Role>()
  const grants = new Map<string, Grant>()
  const clusters = new Map<string, Cluster>()
  const world = {
    tokens,
    snapshot: EMPTY,
    change(edit: () => void) {
      edit()
      world.snapshot = {
        users: new Map(users),
        groups: new Map([['g-dev', { id: 'g-dev', name: 'developers' }]]),
        roles: new Map(roles),
        grants: new Map(grants),
        clusters: new Map(clusters),
      }
    },
    users,
    roles,
    grants,
    clusters,
    grant(
      id: string,
      rules: readonly Partial<PolicyRule>[],
      namespaces: readonly string[] | 'all',
    ) {
      world.change(() => {
        roles.set(`role-${id}`, { id: `role-${id}`, name: `role-${id}`, rules: rules.map(whole) })
        grants.set(id, {
          id,
          name: id,
          subjects: [{ kind: 'group', id: 'g-dev' }],
          roleId: `role-${id}`,
          clusters: { clusterIds: ['c-demo'] },
          namespaces: { all: namespaces === 'all', names: namespaces === 'all' ? [] : namespaces },
        })
      })
    },
    revoke(id: string) {
      world.change(() => grants.delete(id))
    },
  }
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString()
  tokens.set(sha256(TOKEN), { tokenId: 't-alice', userId: 'u-alice', expiresAt })
  tokens.set(sha256(OTHER_TOKEN), { tokenId: 't-bob', userId: 'u-bob', expiresAt })
  world.change(() => {
    users.set('u-alice', { id: 'u-alice', name: 'alice', disabled: false, groupIds: ['g-dev'] })
    users.set('u-bob', { id: 'u-bob', name: 'bob', disabled: false, groupIds: [] })
    const cluster = { labels: {}, installLevel: 'edit', namespaces: new Map() } as const
    clusters.set('c-demo', { id: 'c-demo', name: 'demo', ...cluster })
  })
  world.grant('everything', [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }], ['team'])
  world.grant(
    'readers',
    [{ verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['pods'] }],
    'all',
  )
  return world
}

const EMPTY: Snapshot = {
  users: new Map(),
  groups: new Map(),
  roles: new Map(),
  grants: new Map(),
  clusters: new Map(),
}

function whole(rule: Partial<PolicyRule>): PolicyRule {
  return {
    verbs: [],
    apiGroups: [],
    resources: [],
    resourceNames: [],
    nonResourceUrls: [],
    ...rule,
  }
}

/** Plays the agent's side of the mux and of upgrade connections, and keeps every head. */
async function startAgent() {
  const heads: RequestHead[] = []
  const handlers = {
    request: (received: Received): void => {
      received.respond(200, [['Content-Type', 'application/json']]).end('{}')
    },
    upgrade: (_head: RequestHead, socket: Socket): void => {
      socket.end(withLength(encodeResponseHead({ status: 403, headers: [] })))
    },
  }
  const open = new Set<Socket>()
  let ends: MuxSession[] = []
  const muxServer = await listen((socket) => {
    open.add(socket)
    const session = createMuxSession(socket, { role: 'server' })
    ends.push(session)
    session.onStream((stream, encoded) => {
      const head = decodeRequestHead(encoded)
      heads.push(head)
      handlers.request(toReceived(head, stream))
    })
  })
  const upgradeServer = await listen((socket) => {
    open.add(socket)
    socket.on('error', () => {})
    readUpgradeHead(socket).then(
      (head) => {
        heads.push(head)
        handlers.upgrade(head, socket)
      },
      () => socket.destroy(),
    )
  })
  let current: MuxSession | undefined
  return {
    heads,
    handlers,
    session(): MuxSession {
      if (current?.state === 'open') return current
      const socket = netConnect(muxServer.port, '127.0.0.1')
      open.add(socket)
      current = createMuxSession(socket, { role: 'client' })
      return current
    },
    async upgradeSocket(): Promise<TLSSocket> {
      const socket = netConnect({
        port: upgradeServer.port,
        host: '127.0.0.1',
        allowHalfOpen: true,
      })
      open.add(socket)
      // What the gateway uses of it, a plain socket has as well.
      return socket as unknown as TLSSocket
    },
    /** The connection to the agent breaks. */
    cut() {
      for (const socket of open) socket.destroy()
      ends = []
    },
    async close() {
      for (const end of ends) end.close('test over')
      for (const socket of open) socket.destroy()
      await Promise.all([muxServer.close(), upgradeServer.close()])
    },
  }
}

function toReceived(head: RequestHead, stream: MuxStream): Received {
  const { body } = toDuplex(stream)
  body.on('error', () => {})
  const chunks: Buffer[] = []
  return {
    head,
    body,
    get content() {
      return new Promise<Buffer>((resolve) => {
        body.on('data', (chunk: Buffer) => chunks.push(chunk))
        body.on('end', () => resolve(Buffer.concat(chunks)))
      })
    },
    closed: new Promise((resolve) => body.once('close', () => resolve())),
    respond(status, headers) {
      stream.sendHead(encodeResponseHead({ status, headers }))
      body.resume()
      return body
    },
  }
}

async function readUpgradeHead(socket: Socket): Promise<RequestHead> {
  const length = (await readExactly(socket, 4, 5_000)).readUInt32BE(0)
  return decodeRequestHead(await readExactly(socket, length, 5_000))
}

export function withLength(head: Buffer): Buffer {
  const prefix = Buffer.alloc(4)
  prefix.writeUInt32BE(head.length)
  return Buffer.concat([prefix, head])
}

async function listen(onConnection: (socket: Socket) => void) {
  const server = createServer({ allowHalfOpen: true }, onConnection)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { port, close: () => new Promise<void>((resolve) => server.close(() => resolve())) }
}

async function readRecords(spool: Spool) {
  const records: AuditEvent[] = []
  // What was noted just now is on its way to the disk.
  await spool.append(Buffer.from('{"kind":"Marker"}'))
  for (;;) {
    // One by one: nothing behind the marker is taken.
    const run = await spool.read({ records: 1, bytes: 1024 * 1024 }, AbortSignal.timeout(5_000))
    for (const { bytes } of run) records.push(JSON.parse(bytes.toString()) as AuditEvent)
    if (records.at(-1)?.kind === 'Marker') return records.filter(({ kind }) => kind === 'Event')
  }
}

export type AuditEvent = {
  kind: string
  auditID: string
  stage: string
  verb: string
  requestURI: string
  user: { username?: string }
  objectRef?: { resource?: string; subresource?: string; namespace?: string; name?: string }
  responseStatus?: { code: number; message?: string }
  annotations: Record<string, string>
}

export async function tlsTo(port: number, alpn?: string[]): Promise<TLSSocket> {
  const socket = tlsConnect({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ...(alpn === undefined ? {} : { ALPNProtocols: alpn }),
  })
  socket.on('error', () => {})
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('error', reject)
  })
  return socket
}

export type RawPatience = { until?: (text: string) => boolean }

async function rawExchange(port: number, bytes: string | Buffer, { until }: RawPatience = {}) {
  const socket = await tlsTo(port)
  let text = ''
  const done = new Promise<{ text: string; closed: boolean }>((resolve) => {
    const finish = (closed: boolean) => {
      clearTimeout(timer)
      resolve({ text, closed })
    }
    const timer = setTimeout(() => finish(false), 4_000)
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (until?.(text) === true) finish(false)
    })
    socket.on('close', () => finish(true))
  })
  socket.write(bytes)
  const result = await done
  socket.destroy()
  return result
}

/** Waits for what must become true, with a bound. */
export async function eventually(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 5_000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`did not happen in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
