import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { MuxSession } from '@postern/mux'
import type { StaticTlsIdentity, TlsIdentity } from '@postern/pki'
import { createTestAuthority, type TestAuthority } from '@postern/pki/testing'
import { createMetrics, type Log, type Metrics } from '@postern/telemetry'
import { createMemoryLog } from '@postern/telemetry/testing'
import {
  createGatewayDialer,
  type GatewayDialer,
  type ParkedAgent,
  parkAgent,
} from '@postern/tunnel'
import { vi } from 'vitest'
import { createControlServer } from '../src/control/control-server.ts'
import { type RelayLimits, relayLimits } from '../src/limits.ts'
import { createPairings } from '../src/pairing/pairing.ts'
import { createRelayPort } from '../src/port/relay-port.ts'
import { createRelaySignals } from '../src/signals.ts'

export const TRUST_DOMAIN = 'test.internal'
export const CLUSTER = 'cluster-1'

export type TestRelay = {
  readonly address: string
  readonly metrics: Metrics
  readonly log: ReturnType<typeof createMemoryLog>
  close(drainMs?: number): Promise<void>
}

export async function startRelay(options: {
  readonly identity: TlsIdentity
  readonly limits?: Partial<RelayLimits>
  readonly listen?: string
  readonly upstreams?: Partial<Record<'tunnel-broker' | 'session' | 'join', string>>
}): Promise<TestRelay> {
  const limits = { ...relayLimits, ...options.limits }
  const metrics = createMetrics('relay')
  const signals = createRelaySignals(metrics)
  const pairings = createPairings<Socket>(limits)
  const log = createMemoryLog()
  const common = { trustDomain: TRUST_DOMAIN, limits, pairings, signals, log }
  const control = createControlServer({ ...common, identity: options.identity })
  const nowhere = '127.0.0.1:1'
  const upstreams = {
    'tunnel-broker': nowhere,
    session: nowhere,
    join: nowhere,
    ...options.upstreams,
  }
  const port = createRelayPort({ ...common, control, upstreams })
  const address = await port.listen(options.listen ?? '127.0.0.1:0')
  return { address, metrics, log, close: (drainMs = 200) => port.close(drainMs) }
}

export async function counted(metrics: Metrics, line: RegExp): Promise<number> {
  const text = await metrics.metrics()
  const found = text
    .split('\n')
    .find((candidate) => !candidate.startsWith('#') && line.test(candidate))
  return Number(found?.split(' ').at(-1) ?? 0)
}

export function gatewayEnd(
  relays: readonly string[],
  identity: TlsIdentity,
  log: Log,
  isAgent: (clusterId: string, agentId: string) => boolean = () => true,
): GatewayDialer {
  const trustDomain = TRUST_DOMAIN
  return createGatewayDialer({ relays: () => relays, identity, trustDomain, isAgent, log })
}

export type TestAgent = ParkedAgent & {
  readonly sessions: MuxSession[]
  readonly upgrades: Socket[]
}

export async function agentEnd(options: {
  readonly relays: readonly string[]
  readonly identity: TlsIdentity
  readonly log: Log
  onMux?: (session: MuxSession) => void
  onUpgrade?: (socket: Socket) => void
}): Promise<TestAgent> {
  const sessions: MuxSession[] = []
  const upgrades: Socket[] = []
  const parked = parkAgent({
    relays: () => options.relays,
    identity: options.identity,
    trustDomain: TRUST_DOMAIN,
    log: options.log,
    onMux(session) {
      sessions.push(session)
      options.onMux?.(session)
    },
    onUpgrade(socket) {
      upgrades.push(socket)
      options.onUpgrade?.(socket)
    },
  })
  return Object.assign(parked, { sessions, upgrades })
}

/** Waits, at most 5 s, until it holds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  await vi.waitFor(
    async () => {
      if (!(await condition())) throw new Error('it does not hold yet')
    },
    { timeout: 5000, interval: 5 },
  )
}

export type Tap = {
  readonly address: string
  /** Everything that went through, in both directions. */
  readonly bytes: () => Buffer
  /** Cuts every connection through it. */
  cut(): void
  close(): void
}

/** A man in the middle of the network, in front of an address. */
export async function startTap(target: string): Promise<Tap> {
  const seen: Buffer[] = []
  const sockets = new Set<Socket>()
  const server: Server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = dialRaw(target)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('data', (chunk: Buffer) => seen.push(chunk))
      from.on('error', () => {})
      from.once('close', () => to.destroy())
      from.pipe(to)
    }
  })
  const address = await listening(server)
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy()
  }
  return {
    address,
    bytes: () => Buffer.concat(seen),
    cut,
    close() {
      server.close()
      cut()
    },
  }
}

export function dialRaw(address: string): Socket {
  const { hostname, port } = new URL(`tcp://${address}`)
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true })
  socket.on('error', () => {})
  return socket
}

export async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('not a TCP server')
  return `127.0.0.1:${address.port}`
}

export type Identities = Readonly<Record<'relay' | 'gateway' | 'agent', StaticTlsIdentity>> & {
  readonly authority: TestAuthority
}

export async function createIdentities(): Promise<Identities> {
  const authority = await createTestAuthority(TRUST_DOMAIN)
  const [relay, gateway, agent] = await Promise.all([
    authority.identity('relay/r1'),
    authority.identity('gateway/g1'),
    authority.identity(`agent/${CLUSTER}/a1`),
  ])
  return { authority, relay, gateway, agent }
}

/** What a TLS client sends first. */
export async function clientHelloFor(servername: string): Promise<Buffer> {
  const server = createServer()
  const address = await listening(server)
  const accepted = once(server, 'connection')
  const client = connectTls({
    host: '127.0.0.1',
    port: Number(address.split(':')[1]),
    servername,
  })
  client.on('error', () => {})
  const [socket] = await accepted
  const [bytes] = await once(socket, 'data')
  client.destroy()
  server.close()
  return bytes
}

/** The other side has closed it. */
export async function closedSoon(socket: Socket): Promise<void> {
  socket.resume()
  await until(() => socket.readableEnded || socket.destroyed)
  socket.destroy()
}
