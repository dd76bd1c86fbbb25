/** Knows where in a byte stream something may be put in between without breaking what flows. */
export type Framing = {
  /** Nothing is begun and unfinished. */
  readonly atBoundary: boolean
  /** Reads on from an offset to the next boundary or the end of the chunk, and answers where it is. */
  advance(chunk: Buffer, from: number): number
}

/** Of a protocol that says itself how it ended. */
export type SessionFraming = Framing & {
  /** What came on its error channel, up to a bound. */
  readonly status: Buffer
  /** Whether its end was said. What ends without it was cut off, however clean its connection ended. */
  readonly hasEnded: boolean
}

/** One JSON document a line, as a JSON watch has it. */
export function createLineFraming(): Framing {
  let atBoundary = true
  return {
    get atBoundary() {
      return atBoundary
    },
    advance(chunk, from) {
      const newline = chunk.indexOf(0x0a, from)
      atBoundary = newline !== -1
      return newline === -1 ? chunk.length : newline + 1
    },
  }
}

/** Frames with a header of known size that says how many bytes follow. */
export function createLengthFraming(protocol: {
  /** Bytes of the header, as far as its first ones tell; at least two. */
  headerBytes(start: Buffer): number
  payloadBytes(header: Buffer): number
  /** Called when a header is complete. Answers whether the frame ends what it belongs to. */
  onHeader(header: Buffer): boolean
  onPayload?(bytes: Buffer): void
}): Framing {
  let header = Buffer.alloc(0)
  let missing = 0
  let inHeader = true
  let closes = true
  return {
    get atBoundary() {
      return inHeader && header.length === 0 && closes
    },
    advance(chunk, from) {
      let at = from
      while (at < chunk.length) {
        if (inHeader) {
          const wanted = header.length < 2 ? 2 : protocol.headerBytes(header)
          const end = Math.min(chunk.length, at + wanted - header.length)
          header = Buffer.concat([header, chunk.subarray(at, end)])
          at = end
          if (header.length < 2 || header.length < protocol.headerBytes(header)) continue
          missing = protocol.payloadBytes(header)
          closes = protocol.onHeader(header)
          header = Buffer.alloc(0)
          inHeader = missing === 0
        } else {
          const end = Math.min(chunk.length, at + missing)
          protocol.onPayload?.(chunk.subarray(at, end))
          missing -= end - at
          at = end
          inHeader = missing === 0
        }
        if (inHeader && header.length === 0 && closes) return at
      }
      return at
    },
  }
}
