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

/** Of all protocols here: WebSocket's with a long length and a mask. */
const HEADER_BYTES_MAX = 14

/** Frames with a header of known size that says how many bytes follow. */
export function createLengthFraming(protocol: {
  /** Bytes of the header, as far as its first ones tell; at least two. */
  headerBytes(start: Buffer): number
  payloadBytes(header: Buffer): number
  /** Called when a header is complete. Answers whether the frame ends what it belongs to. */
  onHeader(header: Buffer): boolean
  onPayload?(bytes: Buffer): void
}): Framing {
  const header = Buffer.alloc(HEADER_BYTES_MAX)
  /** Of the header that has begun. */
  let known = 0
  /** Of the frame whose header is complete. */
  let missing = 0
  let closes = true

  function readHeader(chunk: Buffer, at: number): number {
    const wanted = known < 2 ? 2 : protocol.headerBytes(header)
    const end = Math.min(chunk.length, at + wanted - known)
    known += chunk.copy(header, known, at, end)
    if (known < 2 || known < protocol.headerBytes(header)) return end
    missing = protocol.payloadBytes(header)
    closes = protocol.onHeader(header)
    known = 0
    return end
  }

  function readPayload(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + missing)
    protocol.onPayload?.(chunk.subarray(at, end))
    missing -= end - at
    return end
  }

  const isAtBoundary = () => missing === 0 && known === 0 && closes
  return {
    get atBoundary() {
      return isAtBoundary()
    },
    advance(chunk, from) {
      let at = from
      while (at < chunk.length) {
        at = missing > 0 ? readPayload(chunk, at) : readHeader(chunk, at)
        if (isAtBoundary()) return at
      }
      return at
    },
  }
}
