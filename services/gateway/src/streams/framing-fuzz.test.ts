import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CuttableStream } from './cuttable-stream.ts'
import { createLengthFraming, createLineFraming, type Framing } from './framing.ts'
import { createSpdyFraming, spdyFarewell } from './spdy.ts'
import { createWebSocketFraming, webSocketFarewell } from './websocket.ts'

// oxlint-disable-next-line node/no-process-env -- a fuzzer's budget
const SECONDS = Number(process.env['POSTERN_FUZZ_SECONDS'] ?? 2)
const seed = Date.now() & 0x7fffffff
const STATUS_BYTES_MAX = 8 * 1024

const readers: readonly { name: string; create: () => Framing & { readonly status?: Buffer } }[] = [
  { name: 'WebSocket, binary channels', create: () => createWebSocketFraming('binary') },
  { name: 'WebSocket, base64 channels', create: () => createWebSocketFraming('base64') },
  { name: 'WebSocket of another protocol', create: () => createWebSocketFraming(undefined) },
  { name: 'SPDY/3.1', create: createSpdyFraming },
  { name: 'JSON lines', create: createLineFraming },
  {
    name: 'lengths of four bytes',
    create: () =>
      createLengthFraming({
        headerBytes: () => 4,
        payloadBytes: (header) => header.readUInt32BE(0),
        onHeader: () => true,
      }),
  },
]

/** Where boundaries are, when the bytes arrive in these pieces. Fails where a reader makes no way. */
function boundaries(framing: Framing, pieces: readonly Buffer[]): number[] {
  const found: number[] = []
  let start = 0
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const next = framing.advance(piece, at)
      expect(next).toBeGreaterThan(at)
      expect(next).toBeLessThanOrEqual(piece.length)
      at = next
      if (framing.atBoundary) found.push(start + at)
    }
    start += piece.length
  }
  return found
}

/** Bytes that are often nearly frames. */
const frameLike = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom(
    ...[
      [0x82, 0x05, 3, 1, 2, 3, 4],
      [0x82, 0x7e, 0, 3, 3, 65, 65],
      [0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0, 2, 3, 65],
      [0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
      [0x02, 0x01, 3],
      [0x00, 0x01, 65],
      [0x89, 0x00],
      [0x88, 0x02, 3, 232],
      [0, 0, 0, 1, 0, 0, 0, 2, 65, 66],
      [0, 0, 0, 1, 1, 0, 0, 0],
      [0x80, 3, 0, 7, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0],
      [0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff],
      [0, 0, 0, 0],
      [0xff, 0xff, 0xff, 0xff],
      [10],
    ].map((bytes) => Uint8Array.from(bytes)),
  ),
)
const stream = fc.array(frameLike, { maxLength: 30 }).map((parts) => Buffer.concat(parts))
const budget = { seed, numRuns: 1_000_000, interruptAfterTimeLimit: (SECONDS * 1000) / 6 }

test.each(readers)(
  '$name: random bytes, cut at every offset, are read to the end and all alike',
  ({ create }) => {
    fc.assert(
      fc.property(stream, (bytes) => {
        const whole = boundaries(create(), [bytes])
        const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))
        expect(boundaries(create(), single)).toEqual(whole)
        for (let cut = 1; cut < bytes.length; cut += 1) {
          expect(boundaries(create(), [bytes.subarray(0, cut), bytes.subarray(cut)])).toEqual(whole)
        }
      }),
      budget,
    )
  },
)

test.each(readers)(
  '$name: what is kept of a status is bounded, however much comes',
  ({ create }) => {
    const framing = create()
    // One frame after the other on the error channel, and a last one that does not end.
    const webSocket = Buffer.concat([
      Buffer.from([0x82, 0x7e, 0xff, 0xff, 3]),
      Buffer.alloc(65_534, 65),
    ])
    const spdy = Buffer.concat([
      Buffer.from([0, 0, 0, 1, 0, 0, 0xff, 0xff]),
      Buffer.alloc(65_535, 65),
    ])
    for (const frame of [webSocket, spdy, Buffer.alloc(1 << 20, 3)]) {
      for (let times = 0; times < 20; times += 1) boundaries(framing, [frame])
      expect(framing.status?.length ?? 0).toBeLessThanOrEqual(STATUS_BYTES_MAX)
    }
  },
)

const farewells = [
  {
    name: 'WebSocket',
    create: () => createWebSocketFraming('binary'),
    farewell: webSocketFarewell('binary', '{}', 'x'),
  },
  { name: 'SPDY/3.1', create: createSpdyFraming, farewell: spdyFarewell('{}') },
]
test.each(farewells)(
  '$name: a cut at any moment ends the stream at a boundary, with its farewell, and never later',
  async ({ create, farewell }) => {
    await fc.assert(
      fc.asyncProperty(stream, fc.nat(), fc.nat(), async (bytes, first, second) => {
        const at = first % (bytes.length + 1)
        const next = at + (second % (bytes.length - at + 1))
        const out: Buffer[] = []
        const how = await new Promise<'end' | 'aborted'>((resolve) => {
          const through = new CuttableStream({
            sink: {
              write: (chunk) => out.push(chunk) > 0,
              end: () => resolve('end'),
              abort: () => resolve('aborted'),
            },
            framing: create(),
            onEnd() {},
          })
          through.write(bytes.subarray(0, at))
          through.cut(farewell)
          through.write(bytes.subarray(at, next))
          through.write(bytes.subarray(next))
          through.end()
          through.sent()
        })
        const sent = Buffer.concat(out)
        const said = sent.subarray(0, Math.max(0, sent.length - farewell.length))
        const isFarewell = how === 'end' && sent.subarray(said.length).equals(farewell)
        const rest = isFarewell ? said : sent
        const whole = [0, ...boundaries(create(), [bytes])]
        expect(whole).toContain(isFarewell ? rest.length : 0)
        // Nothing but what came, up to where it was cut.
        expect(bytes.subarray(0, rest.length).equals(rest)).toBe(true)
      }),
      { seed, numRuns: 300 },
    )
  },
)
