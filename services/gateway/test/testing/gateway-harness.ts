import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TLSSocket, connect as tlsConnect } from 'node:tls'
import { createDecider, nextChangeAt } from '@postern/access'
import { createTestAuthority } from '@postern/pki/testing'
import { createLog, createMetrics } from '@postern/telemetry'
import { NoAgentError } from '@postern/tunnel'
import { createRecorder } from '../../src/audit/recorder.ts'
import { openSpool, type Spool } from '../../src/audit/spool.ts'
import { settle } from '../../src/front/testing.ts'
import { createTlsFront } from '../../src/front/tls-front.ts'
import { createRequestLimiter, type RequestLimits } from '../../src/limits/request-limits.ts'
import { createTokenBucket } from '../../src/limits/token-bucket.ts'
import { createRequestHandler } from '../../src/request/handle-request.ts'
import { createSecondLook } from '../../src/request/second-look.ts'
import { createSessionActivity } from '../../src/session/session-activity.ts'
import { gatewaySignals } from '../../src/signals.ts'
import { createLiveRequests } from '../../src/streams/live-requests.ts'
import { reviewRight } from '../../src/streams/review-right.ts'
import { startAgent } from './recording-agent.ts'
import { createWorld } from './world.ts'

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
  const usualAnswers = { ...agent.handlers }
  const decider = createDecider()
  const sessionsOver = new Set<string>()
  const everythingWell = {
    lease: true,
    agentOnline: true,
    spoolRoom: true,
    position: 2n,
    /** What happens between the decision about a request and its session. */
    whileSessionOpens: () => {},
    /** All that was committed before is known now. */
    confirmed: async () => true,
  }
  const state = { ...everythingWell }
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
    review: (right, at) => reviewRight(right, rights, at),
    now,
    shortGraceMs: 300,
    random: () => 0,
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
    positions: () => ({ identity: 1n, policy: state.position, 'tunnel-broker': 3n }),
    secondLook: createSecondLook(() => state.confirmed()),
    now,
    limiter: createRequestLimiter({
      running: 10_000,
      shortPerUser: 10_000,
      streamsPerUser: 10_000,
      perSecondPerUser: 1e6,
      burstPerUser: 1e6,
      ...options.limits,
    }),
    sessions: {
      ready: () => undefined,
      async sessionOf(userId, clusterId) {
        state.whileSessionOpens()
        await Promise.resolve()
        const expiresAtMs = Date.now() + 3_600_000
        const id = `session-of-${userId}`
        return { id, userId, clusterId, account: 'ptr-account', expiresAtMs }
      },
    },
    activity: createSessionActivity({ report: async () => {}, now, log }),
    spoolHasRoom: () => state.spoolRoom,
    recorder,
    tunnels: {
      open: () => (state.agentOnline ? agent.session() : undefined),
      session: async (clusterId) => {
        if (!state.agentOnline) throw new NoAgentError(clusterId)
        return agent.session()
      },
      upgrade: async (clusterId) => {
        if (!state.agentOnline) throw new NoAgentError(clusterId)
        return { socket: await agent.upgradeSocket(), agentId: 'a1' }
      },
      cutRemovedAgents: () => {},
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
  const front = createTlsFront({
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
    /** As it was at first, before the next test. */
    async reset() {
      agent.heads.length = 0
      Object.assign(agent.handlers, usualAnswers)
      Object.assign(state, everythingWell)
      sessionsOver.clear()
      world.grant('everything', [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }], ['team'])
      await readRecords(spool)
    },
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

async function readRecords(spool: Spool) {
  const records: AuditEvent[] = []
  // An outcome is noted once the answer is written: its client may have it some turns of the event loop before.
  await settle()
  // What was noted just now is on its way to the disk.
  await spool.append('{"kind":"Marker"}')
  for (;;) {
    // One by one: nothing behind the marker is taken.
    const run = await spool.read({ records: 1, bytes: 1024 * 1024 }, AbortSignal.timeout(5_000))
    for (const record of run.records) records.push(JSON.parse(record.toString()) as AuditEvent)
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
