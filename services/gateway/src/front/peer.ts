import type { TLSSocket } from 'node:tls'
import type { ConnectionMemory } from './front-interface.ts'

/** Who a connection is from and whom it asked for: the same for all its requests. */
export type Peer = {
  readonly remoteAddress: string
  /** SNI in lower case. */
  readonly serverName: string | undefined
  readonly memory: ConnectionMemory
}

export function peerOf(socket: TLSSocket): Peer {
  // What says "none" is false at a server, whatever the types say.
  const named: unknown = socket.servername
  return {
    remoteAddress: (socket.remoteAddress ?? '').replace(/^::ffff:/, ''),
    memory: {},
    serverName: typeof named === 'string' ? named.toLowerCase() : undefined,
  }
}
