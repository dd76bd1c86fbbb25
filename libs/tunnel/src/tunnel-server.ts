import type { Socket } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import type { TlsIdentity } from '@postern/pki'
import { TunnelError } from './errors.ts'
import { type Peer, peerOf } from './peer.ts'
import { type Purpose, protocolOf } from './purpose.ts'
import { pairServerName } from './server-name.ts'

/** The gateway's end of the handshake on a paired socket. */
export type TunnelServer = {
  /**
   * Answers the handshake of the agent at the other end of a spliced socket.
   * @throws TunnelError `peer-refused` unless it is an agent of that cluster
   */
  accept(raw: Socket, expected: ExpectedAgent): Promise<{ socket: TLSSocket; agent: AgentPeer }>
  close(): void
}

export type AgentPeer = Peer & { readonly clusterId: string }

/** Whether the agent may speak for the cluster now: its certificate outlives its removal. */
export type IsAgent = (clusterId: string, agentId: string) => boolean

type ExpectedAgent = {
  readonly number: string
  readonly clusterId: string
  readonly purpose: Purpose
}

/**
 * Never listens. A bare `new TLSSocket(raw, { isServer: true, rejectUnauthorized: true })` would let
 * unknown client certificates in; a server that is handed the connection does reject them.
 */
export function createTunnelServer(
  identity: TlsIdentity,
  trustDomain: string,
  isAgent: IsAgent,
): TunnelServer {
  const waiting = new Map<string, { raw: Socket; settle: (socket: TLSSocket) => void }>()
  const material = () => {
    const { cert, key, ca } = identity.current()
    return { cert, key, ca, minVersion: 'TLSv1.3' as const }
  }
  const server = createServer({
    ...material(),
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: [protocolOf('mux'), protocolOf('upgrade')],
  })
  const endRenewals = identity.onRenewed(() => server.setSecureContext(material()))
  server.on('secureConnection', (socket) => {
    const found = waiting.get(typeof socket.servername === 'string' ? socket.servername : '')
    if (found === undefined || !isSameConnection(socket, found.raw)) socket.destroy()
    else found.settle(socket)
  })
  server.on('tlsClientError', (_error, socket) => socket.destroy())

  return {
    async accept(raw, { number, clusterId, purpose }) {
      const name = pairServerName(number, trustDomain)
      const socket = await new Promise<TLSSocket>((resolve, reject) => {
        const refuse = () => {
          waiting.delete(name)
          const message = 'the tunnel closed before the agent had proved who it is'
          reject(new TunnelError('peer-refused', message))
        }
        raw.once('close', refuse)
        waiting.set(name, {
          raw,
          settle(secured) {
            waiting.delete(name)
            raw.off('close', refuse)
            resolve(secured)
          },
        })
        server.emit('connection', raw)
      })
      const agent = peerOf(socket, trustDomain)
      if (
        !socket.authorized ||
        agent?.kind !== 'agent' ||
        agent.clusterId !== clusterId ||
        !isAgent(clusterId, agent.id) ||
        socket.alpnProtocol !== protocolOf(purpose)
      ) {
        socket.destroy()
        throw new TunnelError('peer-refused', 'the other end is not an agent of that cluster')
      }
      return { socket, agent: { ...agent, clusterId } }
    },
    close: endRenewals,
  }
}

/** A name in a ClientHello is only a claim: the connection must be the one that waits for it. */
const isSameConnection = (socket: TLSSocket, raw: Socket): boolean =>
  socket.localPort !== undefined &&
  socket.localPort === raw.localPort &&
  socket.localAddress === raw.localAddress &&
  socket.remotePort === raw.remotePort &&
  socket.remoteAddress === raw.remoteAddress
