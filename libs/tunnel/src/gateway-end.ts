import { connect as connectTcp, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { createMuxSession, type MuxSession } from '@postern/mux'
import type { TlsIdentity } from '@postern/pki'
import type { Log } from '@postern/telemetry'
import { parseAddress } from './address.ts'
import { NoAgentError, TunnelError } from './errors.ts'
import { createPairRequests, type PairAnswer } from './pair-requests.ts'
import { encodePreface } from './preface.ts'
import type { Purpose } from './purpose.ts'
import { createRelayLink, type RelayLink } from './relay-link.ts'
import { createRelayLinks } from './relay-links.ts'
import { limitAge, limitUpgradeAge } from './session-age.ts'
import { type AgentPeer, createTunnelServer, type IsAgent } from './tunnel-server.ts'

export type GatewayDialerOptions = {
  /** host:port of every relay, as gateways dial it; asked again every second. */
  readonly relays: () => readonly string[]
  readonly identity: TlsIdentity
  readonly trustDomain: string
  readonly isAgent: IsAgent
  readonly log: Log
}

/** Reaches clusters through relays. Every attempt ends within 2 s. */
export type GatewayDialer = {
  /** A new session with an agent of that cluster; keep and share it, it carries thousands of streams. */
  connectMux(clusterId: string, signal?: AbortSignal): Promise<ClusterMux>
  /** A connection of its own for one upgraded request. Half-open: each way ends by itself. */
  connectUpgrade(clusterId: string, signal?: AbortSignal): Promise<ClusterUpgrade>
  /** Relays whose control connection stands. */
  readonly relaysConnected: number
  /** Cuts what goes through agents that may no longer speak for their cluster. */
  cutRemovedAgents(): void
  /** Closes control connections, sessions and upgrades. */
  close(): Promise<void>
}

export type ClusterMux = { readonly session: MuxSession; readonly agentId: string }
export type ClusterUpgrade = { readonly socket: TLSSocket; readonly agentId: string }

/** For the whole attempt, over all relays: who asked is to have the answer within 2 s. */
const ATTEMPT_MS = 1750
/** For one relay's answer. */
const ANSWER_MS = 700
/** For the agent's half of one pair: one that is gone without a word must not take the whole attempt. */
const PAIR_MS = 1000
const ATTEMPTS_MAX = 256
/** Agents are away for a moment when they or their relay restart. */
const ROUNDS = 2
const BETWEEN_ROUNDS_MS = 250
const READY_POLL_MS = 20

/** connectMux and connectUpgrade throw NoAgentError for an offline cluster, else TunnelError. */
export function createGatewayDialer(options: GatewayDialerOptions): GatewayDialer {
  const { identity, trustDomain, isAgent, log } = options
  const server = createTunnelServer(identity, trustDomain, isAgent)
  const requests = createPairRequests()
  const sockets = new Map<TLSSocket, AgentPeer>()
  /** With the relay that each goes through. */
  const sessions = new Map<MuxSession, string>()
  const closing = new AbortController()
  let attempts = 0
  const links = createRelayLinks({
    relays: options.relays,
    link: (address) => {
      const link: RelayLink = createRelayLink({
        address,
        identity,
        trustDomain,
        log,
        onMessage(message) {
          if (message.type === 'bye') leave(address)
          else requests.onMessage(address, message)
        },
        onChange: () => {
          if (!link.ready) requests.onLost(address)
        },
      })
      return link
    },
  })

  /** Its relay is stopping: new requests go another way while what runs may end. */
  function leave(relay: string): void {
    for (const [session, through] of sessions) {
      if (through === relay) session.goAway('its relay is stopping')
    }
  }

  async function connect(clusterId: string, purpose: Purpose, signal?: AbortSignal) {
    if (attempts >= ATTEMPTS_MAX) {
      throw new TunnelError('overloaded', 'too many tunnels are being opened at once')
    }
    attempts += 1
    const deadline = AbortSignal.timeout(ATTEMPT_MS)
    const aborted = AbortSignal.any([deadline, closing.signal, ...(signal ? [signal] : [])])
    try {
      const connection = await throughAnyRelay(clusterId, purpose, aborted)
      sockets.set(connection.socket, connection.agent)
      connection.socket.once('close', () => sockets.delete(connection.socket))
      return connection
    } catch (error) {
      if (error instanceof TunnelError || !aborted.aborted) throw error
      if (!deadline.aborted) throw new TunnelError('aborted', 'the tunnel is not wanted any more')
      if (links.all.some((link) => link.ready)) {
        throw new TunnelError('timeout', 'the tunnel was not open in time')
      }
      throw new TunnelError('no-relay', 'no relay can be reached')
    } finally {
      attempts -= 1
    }
  }

  async function throughAnyRelay(clusterId: string, purpose: Purpose, signal: AbortSignal) {
    let failure: TunnelError | undefined
    for (let round = 0; round < ROUNDS; round += 1) {
      if (round > 0) await pause(BETWEEN_ROUNDS_MS, signal)
      for (const link of await readyLinks(signal)) {
        const answer = await requests.ask(link, { clusterId, purpose }, ANSWER_MS, signal)
        if (answer.type === 'paired') {
          try {
            return await openPaired(link.address, answer, { clusterId, purpose }, signal)
          } catch (error) {
            if (signal.aborted || !(error instanceof TunnelError)) throw error
            log.warn({ relay: link.address, clusterId, reason: error.message }, 'tunnel failed')
            failure = error
          }
        } else if (answer.reason !== 'no-agent') {
          failure ??= new TunnelError('overloaded', `the relay did not pair us: ${answer.reason}`)
        }
      }
    }
    throw failure ?? new NoAgentError(clusterId)
  }

  /** In random order, so that the load spreads. */
  async function readyLinks(signal: AbortSignal): Promise<RelayLink[]> {
    links.refresh()
    for (;;) {
      const ready = links.all.filter((link) => link.ready)
      if (ready.length > 0) return shuffled(ready)
      await pause(READY_POLL_MS, signal)
    }
  }

  async function openPaired(
    relay: string,
    { number }: PairAnswer & { type: 'paired' },
    expected: { clusterId: string; purpose: Purpose },
    signal: AbortSignal,
  ) {
    const raw = connectTcp({
      ...parseAddress(relay),
      noDelay: true,
      allowHalfOpen: expected.purpose === 'upgrade',
    })
    raw.on('error', (error) => log.debug({ relay, reason: error.message }, 'tunnel socket failed'))
    const abort = () => raw.destroy()
    signal.addEventListener('abort', abort, { once: true })
    const late = AbortSignal.timeout(PAIR_MS)
    late.addEventListener('abort', abort, { once: true })
    try {
      await sent(raw, encodePreface(number))
      const { socket, agent } = await server.accept(raw, { number, ...expected })
      socket.on('error', (error) => log.debug({ relay, reason: error.message }, 'tunnel failed'))
      return { socket, agent, relay }
    } catch (error) {
      raw.destroy()
      signal.throwIfAborted()
      throw error
    } finally {
      late.removeEventListener('abort', abort)
      signal.removeEventListener('abort', abort)
    }
  }

  return {
    async connectMux(clusterId, signal) {
      const { socket, agent, relay } = await connect(clusterId, 'mux', signal)
      const session = createMuxSession(socket, { role: 'client' })
      sessions.set(session, relay)
      void session.closed.then(() => sessions.delete(session))
      limitAge(session, agent.certifiedUntil, new Date())
      return { session, agentId: agent.id }
    },
    async connectUpgrade(clusterId, signal) {
      const { socket, agent } = await connect(clusterId, 'upgrade', signal)
      limitUpgradeAge(socket, agent.certifiedUntil, new Date())
      return { socket, agentId: agent.id }
    },
    get relaysConnected() {
      return links.all.filter((link) => link.ready).length
    },
    cutRemovedAgents() {
      for (const [socket, { clusterId, id }] of sockets) {
        if (isAgent(clusterId, id)) continue
        log.warn({ clusterId, agentId: id }, 'cut off from an agent that was removed')
        socket.destroy()
      }
    },
    async close() {
      closing.abort()
      links.close()
      server.close()
      for (const session of sessions.keys()) session.close('the gateway is stopping')
      await Promise.all([...sessions.keys()].map(({ closed }) => closed))
      for (const socket of sockets.keys()) socket.destroySoon()
    },
  }
}

/** Resolves once connected and everything written. */
function sent(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = () => reject(new TunnelError('no-relay', 'the relay closed the connection'))
    socket.once('close', failed)
    socket.write(bytes, (error) => {
      socket.off('close', failed)
      if (error) failed()
      else resolve()
    })
  })
}

/** @throws the signal's reason */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal, ref: false })
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
