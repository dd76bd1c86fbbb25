import type { Duplex } from 'node:stream'
import type { MuxLimits, MuxSession } from './api.ts'

export type MuxSessionOptions = {
  /** The client opens streams (the gateway), the server accepts them (the agent). */
  readonly role: 'client' | 'server'
  readonly limits?: Partial<MuxLimits>
}

/** Takes over the socket: a connected TLSSocket, or any Duplex. */
export function createMuxSession(_socket: Duplex, _options: MuxSessionOptions): MuxSession {
  throw new Error('being written')
}
