import type { TLSSocket } from 'node:tls'
import type { ClientLines } from './client-lines.ts'
import type { TokenMemory } from './front-interface.ts'

/** Who a connection is from and whom it asked for: the same for all its requests. */
export type Peer = {
  readonly remoteAddress: string
  /** SNI in lower case. */
  readonly serverName: string | undefined
  readonly memory: ConnectionMemory
}

/** What is remembered from one request of a connection to its next. */
export type ConnectionMemory = TokenMemory & {
  /** What the last header lines said. */
  lines?: ClientLines
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
