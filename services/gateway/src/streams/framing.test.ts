import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLineFraming, type Framing } from './framing.ts'
import { createSpdyFraming } from './spdy.ts'
import { createWebSocketFraming } from './websocket.ts'

const seed = Date.now() & 0x7fffffff

/** Every place where the framing says that something may be put in, however the bytes are cut. */
function boundaries(framing: Framing, bytes: Buffer, cuts: readonly number[]): number[] {
  const found = framing.atBoundary ? [0] : []
  const edges = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])]
  const sorted = edges.toSorted((a, b) => a - b)
  sorted.slice(1).forEach((end, index) => {
    const start = sorted[index] ?? 0
    const chunk = bytes.subarray(start, end)
    for (let at = 0; at < chunk.length; ) {
      at = framing.advance(chunk, at)
      if (framing.atBoundary) found.push(start + at)
    }
  })
  return found
}

function webSocketFrame({ size, opcode, final, masked }: FrameShape): Buffer {
  const extra = size < 126 ? 0 : size < 65_536 ? 2 : 8
  const header = Buffer.alloc(2 + extra + (masked ? 4 : 0))
  header[0] = (final ? 0x80 : 0) | opcode
  header[1] = (masked ? 0x80 : 0) | (extra === 0 ? size : extra === 2 ? 126 : 127)
  if (extra === 2) header.writeUInt16BE(size, 2)
  if (extra === 8) header.writeBigUInt64BE(BigInt(size), 2)
  return Buffer.concat([header, Buffer.alloc(size, 1)])
}
type FrameShape = { size: number; opcode: number; final: boolean; masked: boolean }

const size = fc.oneof(
  fc.integer({ min: 0, max: 200 }),
  fc.constantFrom(125, 126, 127, 65_535, 65_536, 70_000),
)
const cuts = fc.array(fc.nat(), { maxLength: 20 })

test('in a WebSocket stream the boundaries are those between messages, however it arrives', () => {
  const message = fc.record({
    sizes: fc.array(size, { minLength: 1, maxLength: 3 }),
    ping: fc.boolean(),
    masked: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(message, { maxLength: 6 }), cuts, (messages, at) => {
      const expected = [0]
      const frames: Buffer[] = []
      let length = 0
      const put = (frame: Buffer) => {
        frames.push(frame)
        length += frame.length
      }
      for (const { sizes, ping, masked } of messages) {
        sizes.forEach((bytes, index) => {
          const final = index === sizes.length - 1
          // Control frames may lie inside a fragmented message; that is no place for a message.
          if (ping && index === 1) put(webSocketFrame({ size: 4, opcode: 9, final: true, masked }))
          put(webSocketFrame({ size: bytes, opcode: index === 0 ? 2 : 0, final, masked }))
        })
        expected.push(length)
      }
      expect(boundaries(createWebSocketFraming('binary'), Buffer.concat(frames), at)).toEqual(
        expected,
      )
    }),
    { seed, numRuns: 300 },
  )
})

test('in a SPDY stream the boundaries are those between frames, however it arrives', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 70_000 }), { maxLength: 8 }),
      cuts,
      (sizes, at) => {
        const expected = [0]
        const frames = sizes.map((bytes) => {
          const header = Buffer.alloc(8)
          header.writeUInt32BE(5, 0)
          header.writeUIntBE(bytes, 5, 3)
          expected.push((expected.at(-1) ?? 0) + 8 + bytes)
          return Buffer.concat([header, Buffer.alloc(bytes, 7)])
        })
        expect(boundaries(createSpdyFraming(), Buffer.concat(frames), at)).toEqual(expected)
      },
    ),
    { seed, numRuns: 300 },
  )
})

test('in a watch the boundaries are those between lines, however it arrives', () => {
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[a-z{}"]{0,30}$/), { maxLength: 10 }),
      cuts,
      (lines, at) => {
        const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''))
        const expected = [0]
        for (const line of lines) expected.push((expected.at(-1) ?? 0) + line.length + 1)
        expect(boundaries(createLineFraming(), bytes, at)).toEqual(expected)
      },
    ),
    { seed, numRuns: 300 },
  )
})

test('what arrives on the error channel is kept, whatever else flows and however it is cut', () => {
  const status = '{"status":"Failure","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}'
  const frames = (channel: number, content: string) => {
    const payload = Buffer.concat([Buffer.from([channel]), Buffer.from(content)])
    return Buffer.concat([Buffer.from([0x82, payload.length]), payload])
  }
  const bytes = Buffer.concat([
    frames(1, 'output'),
    frames(2, '\x03 looks like it'),
    frames(3, status),
  ])
  fc.assert(
    fc.property(cuts, (at) => {
      const framing = createWebSocketFraming('binary')
      boundaries(framing, bytes, at)
      expect(framing.status.toString()).toBe(status)
    }),
    { seed, numRuns: 200 },
  )
})

const CLOSE = Buffer.from('880203e8', 'hex')
const webSocketStatus = Buffer.from('\x82\x03\x03{}', 'latin1')
const spdyStatus = Buffer.from('0000000101000002', 'hex')

test.each([
  { what: 'a Status on the error channel', create: webSocket, end: webSocketStatus, is: true },
  { what: 'a Close', create: webSocket, end: CLOSE, is: true },
  { what: 'half a Close', create: webSocket, end: CLOSE.subarray(0, 3), is: false },
  { what: 'an error channel that is only opened', create: webSocket, end: opened(3), is: false },
  { what: 'output', create: webSocket, end: opened(1), is: false },
  {
    what: 'a Status on the error stream',
    create: createSpdyFraming,
    end: Buffer.concat([spdyStatus, Buffer.from('{}')]),
    is: true,
  },
  {
    what: 'half a Status',
    create: createSpdyFraming,
    end: Buffer.concat([spdyStatus, Buffer.from('{')]),
    is: false,
  },
  {
    what: 'the end of an error stream that is empty',
    create: createSpdyFraming,
    end: Buffer.from('0000000101000000', 'hex'),
    is: false,
  },
  {
    what: 'GOAWAY',
    create: createSpdyFraming,
    end: Buffer.from('80030007000000080000000000000000', 'hex'),
    is: false,
  },
])('$what says the end of an exec: $is', ({ create, end, is }) => {
  fc.assert(
    fc.property(cuts, (at) => {
      const framing = create()
      boundaries(framing, end, at)
      expect(framing.hasEnded).toBe(is)
    }),
    { seed, numRuns: 20 },
  )
})

function webSocket() {
  return createWebSocketFraming('binary')
}

/** As kube-apiserver opens a channel. */
function opened(channel: number): Buffer {
  return Buffer.from([0x82, 1, channel])
}
