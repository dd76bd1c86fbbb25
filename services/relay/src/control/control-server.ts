import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import type { TlsIdentity } from '@postern/pki'
import type { Log } from '@postern/telemetry'
import {
  type ControlConnection,
  type ControlMessage,
  createControlConnection,
  type Peer,
  peerOf,
} from '@postern/tunnel'
import type { RelayLimits } from '../limits.ts'
import type { Pairings } from '../pairing/pairing.ts'
import type { RelaySignals } from '../signals.ts'
import { createParkedAgents } from './parked-agents.ts'

/** The relay's own TLS: agents park, gateways ask for pairs. */
export type ControlServer = {
  /** Takes over a connection whose first bytes are a ClientHello for the relay. */
  accept(raw: Socket, onSettled: () => void): void
  close(reason: string): void
}

export type ControlServerOptions = {
  readonly identity: TlsIdentity
  readonly trustDomain: string
  readonly log: Log
  readonly limits: RelayLimits
  readonly pairings: Pairings<Socket>
  readonly signals: RelaySignals
}

const TIMER_MS_MAX = 2 ** 31 - 1

export function createControlServer(options: ControlServerOptions): ControlServer {
  const { identity, trustDomain, log, limits, pairings, signals } = options
  const connections = new Set<ControlConnection>()
  const handshaking = new Map<string, () => void>()
  const parked = createParkedAgents<ControlConnection>(limits.agentsPerClusterMax)
  signals.observe({ parkedAgents: () => parked.count, control: () => connections.size })

  const material = () => {
    const { cert, key, ca } = identity.current()
    return { cert, key, ca, minVersion: 'TLSv1.3' as const }
  }
  // Never listens: a server, and not a bare TLSSocket, is what refuses unknown client certificates.
  const server = createServer({
    ...material(),
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: limits.handshakeMs,
  })
  const endRenewals = identity.onRenewed(() => server.setSecureContext(material()))
  server.on('tlsClientError', (error, socket) => {
    log.debug({ reason: error.message, remote: socket.remoteAddress }, 'handshake failed')
    signals.refused('handshake')
    socket.destroy()
  })
  server.on('secureConnection', (socket) => {
    handshaking.get(remoteOf(socket))?.()
    const peer = peerOf(socket, trustDomain)
    if (!socket.authorized || (peer?.kind !== 'agent' && peer?.kind !== 'gateway')) {
      log.warn({ peer: peer?.spiffeId, remote: socket.remoteAddress }, 'peer refused')
      signals.refused('peer')
      socket.destroy()
    } else if (connections.size >= limits.controlConnectionsMax) {
      signals.refused('control-connections')
      socket.destroy()
    } else {
      serve(socket, peer)
    }
  })

  function serve(socket: TLSSocket, peer: Peer): void {
    socket.setNoDelay(true)
    const connection = createControlConnection({
      socket,
      onMessage: (message) => onMessage(connection, peer, message),
      onClose(reason) {
        clearTimeout(expiry)
        connections.delete(connection)
        if (peer.clusterId !== undefined) parked.remove(peer.clusterId, connection)
        log.info({ peer: peer.spiffeId, reason }, 'control connection closed')
      },
    })
    const leftMs = peer.certifiedUntil.getTime() - Date.now()
    const expiry = setTimeout(
      () => connection.close('your certificate has expired'),
      Math.min(Math.max(0, leftMs), TIMER_MS_MAX),
    )
    expiry.unref()
    connections.add(connection)
    if (peer.kind === 'gateway') connection.send({ type: 'ready' })
    log.info({ peer: peer.spiffeId }, 'control connection opened')
  }

  function onMessage(connection: ControlConnection, peer: Peer, message: ControlMessage): void {
    if (message.type === 'park' && peer.clusterId !== undefined) {
      park(connection, peer.clusterId)
    } else if (message.type === 'pair' && peer.kind === 'gateway') {
      pair(connection, peer.id, message)
    } else {
      signals.refused('protocol')
      connection.close(`a ${peer.kind} may not send ${message.type}`)
    }
  }

  /** The cluster is the one of the agent's certificate; an agent cannot name another. */
  function park(connection: ControlConnection, clusterId: string): void {
    if (parked.add(clusterId, connection)) {
      connection.send({ type: 'ready' })
    } else {
      signals.refused('agents')
      connection.close('the cluster has too many agents on this relay')
    }
  }

  function pair(
    gateway: ControlConnection,
    gatewayId: string,
    { requestId, clusterId, purpose }: ControlMessage & { type: 'pair' },
  ): void {
    const agent = parked.next(clusterId)
    if (agent === undefined) {
      gateway.send({ type: 'refused', requestId, reason: 'no-agent' })
      return
    }
    const number = randomBytes(16).toString('hex')
    if (!pairings.offer(number, gatewayId, performance.now())) {
      signals.refused('pairs')
      gateway.send({ type: 'refused', requestId, reason: 'overloaded' })
      return
    }
    agent.send({ type: 'dial', number, purpose })
    gateway.send({ type: 'paired', requestId, number })
  }

  return {
    accept(raw, onSettled) {
      const key = remoteOf(raw)
      const settle = () => {
        raw.off('close', settle)
        if (handshaking.get(key) === settle) handshaking.delete(key)
        onSettled()
      }
      handshaking.set(key, settle)
      raw.once('close', settle)
      server.emit('connection', raw)
    },
    close(reason) {
      endRenewals()
      for (const connection of connections) connection.close(reason)
    },
  }
}

const remoteOf = (socket: Socket): string => `${socket.remoteAddress}|${socket.remotePort}`
