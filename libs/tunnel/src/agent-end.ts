import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { createMuxSession, type MuxSession } from '@postern/mux'
import type { TlsIdentity } from '@postern/pki'
import type { Log } from '@postern/telemetry'
import { parseAddress } from './address.ts'
import { checkServerIs, peerOf, secureContextOf } from './peer.ts'
import { type Purpose, protocolOf } from './purpose.ts'
import { createRelayLink } from './relay-link.ts'
import { createRelayLinks } from './relay-links.ts'
import { pairServerName } from './server-name.ts'
import { limitAge, limitUpgradeAge } from './session-age.ts'

export type ParkAgentOptions = {
  /** host:port of every relay, as agents dial it; asked again every second. */
  readonly relays: () => readonly string[]
  readonly identity: TlsIdentity
  readonly trustDomain: string
  readonly log: Log
  /** A gateway, checked, made a session. Call `onStream` before returning. */
  onMux(session: MuxSession, peer: { readonly gatewayId: string }): void
  /**
   * A gateway, checked, made a connection for one upgraded request. Half-open: each way ends by
   * itself, so whoever takes it ends it.
   */
  onUpgrade(socket: TLSSocket, peer: { readonly gatewayId: string }): void
}

export type ParkedAgent = {
  /** Relays on which this agent is parked now. */
  readonly parkedOn: readonly string[]
  /** Parks no more, lets sessions and upgrades end by themselves until the deadline, then cuts them. */
  close(deadlineMs: number): Promise<void>
}

/** A number is void after 10 s. */
const DIAL_MS = 10_000
const DIALS_MAX = 64
const CONNECTIONS_MAX = 4096
/** What may wait on a socket before its writer is stopped: two batches of the multiplexer. */
const HELD_BYTES_MAX = 256 * 1024

/** Keeps the agent parked on every relay and answers when a gateway wants it. */
export function parkAgent(options: ParkAgentOptions): ParkedAgent {
  const { identity, trustDomain, log } = options
  const dialling = new Set<TLSSocket>()
  const connections = new Set<TLSSocket>()
  const sessions = new Set<MuxSession>()
  const links = createRelayLinks({
    relays: options.relays,
    link: (address) =>
      createRelayLink({
        address,
        identity,
        trustDomain,
        log,
        greeting: { type: 'park' },
        onMessage(message) {
          if (message.type === 'dial') answer(address, message.number, message.purpose)
        },
        onChange: () => {},
      }),
  })

  /** Opens the data connection that a gateway, so says the relay, is waiting for. */
  function answer(relay: string, number: string, purpose: Purpose): void {
    if (dialling.size >= DIALS_MAX || connections.size >= CONNECTIONS_MAX) {
      log.warn({ relay, dialling: dialling.size, connections: connections.size }, 'dial ignored')
      return
    }
    // node:tls documents these; its types leave them out.
    const how: ConnectionOptions & { allowHalfOpen: boolean; highWaterMark: number } = {
      ...parseAddress(relay),
      servername: pairServerName(number, trustDomain),
      ALPNProtocols: [protocolOf(purpose)],
      allowHalfOpen: purpose === 'upgrade',
      highWaterMark: HELD_BYTES_MAX,
      secureContext: secureContextOf(identity.current()),
      checkServerIdentity: checkServerIs('gateway', trustDomain),
    }
    const socket = connect(how).setNoDelay(true)
    dialling.add(socket)
    const timer = setTimeout(() => socket.destroy(), DIAL_MS)
    socket.on('error', (error) => {
      if (dialling.has(socket)) log.warn({ relay, reason: error.message }, 'dial failed')
    })
    socket.once('close', () => {
      clearTimeout(timer)
      dialling.delete(socket)
      connections.delete(socket)
    })
    socket.once('secureConnect', () => {
      clearTimeout(timer)
      dialling.delete(socket)
      connections.add(socket)
      handOver(socket, purpose)
    })
  }

  function handOver(socket: TLSSocket, purpose: Purpose): void {
    const peer = peerOf(socket, trustDomain)
    // checkServerIdentity has seen to this; what follows must not depend on it alone.
    const isGateway = socket.authorized && peer?.kind === 'gateway'
    if (!isGateway || socket.alpnProtocol !== protocolOf(purpose)) {
      socket.destroy()
      return
    }
    log.debug({ gateway: peer.id, purpose }, 'gateway connected')
    if (purpose === 'upgrade') {
      limitUpgradeAge(socket, peer.certifiedUntil, new Date())
      options.onUpgrade(socket, { gatewayId: peer.id })
      return
    }
    const session = createMuxSession(socket, { role: 'server' })
    sessions.add(session)
    void session.closed.then(() => sessions.delete(session))
    limitAge(session, peer.certifiedUntil, new Date())
    options.onMux(session, { gatewayId: peer.id })
  }

  return {
    get parkedOn() {
      return links.all.filter((link) => link.ready).map(({ address }) => address)
    },
    async close(deadlineMs) {
      links.close()
      for (const socket of dialling) socket.destroy()
      for (const session of sessions) session.goAway('the agent is stopping')
      await settled(connections, deadlineMs)
      for (const session of sessions) session.close('the agent is stopping')
      for (const socket of connections) socket.destroy()
    },
  }
}

/** Waits until all are closed, at most so long. */
async function settled(sockets: ReadonlySet<TLSSocket>, deadlineMs: number): Promise<void> {
  const closing = [...sockets].map(
    (socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())),
  )
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, deadlineMs)
  })
  await Promise.race([Promise.all(closing), deadline])
  clearTimeout(timer)
}
