import type { Duplex } from 'node:stream'
import type { MuxStream } from './api.ts'

/** A stream as node:stream takes it. Destroying the body before it is complete resets the stream. */
export type MuxDuplex = {
  /** The answering head (opening side); rejects if the stream ends without one. */
  readonly head: Promise<Buffer>
  readonly body: Duplex
}

export function toDuplex(_stream: MuxStream): MuxDuplex {
  throw new Error('being written')
}
