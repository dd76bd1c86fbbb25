import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MuxProtocolError } from './errors.ts'
import {
  encodeEnd,
  encodeGoAway,
  encodeHeader,
  encodeMessage,
  encodePing,
  encodeReset,
  encodeWindow,
  FrameType,
  HEAD_BYTES_MAX,
  PAYLOAD_BYTES_MAX,
} from './frame.ts'
import { FrameReader } from './frame-reader.ts'

/** What a reader makes of the chunks; runs of DATA of one stream are one. */
function read(chunks: readonly Uint8Array[]): unknown[] {
  const seen: { what: number; id: number; bytes: string }[] = []
  const reader = new FrameReader({
    onData(id, bytes) {
      const last = seen.at(-1)
      const hex = bytes.toString('hex')
      if (last?.what === FrameType.DATA && last.id === id) last.bytes += hex
      else seen.push({ what: FrameType.DATA, id, bytes: hex })
    },
    onMessage: (what, id, bytes) => seen.push({ what, id, bytes: bytes.toString('hex') }),
    onFrame: ({ type, streamId }, payload) =>
      seen.push({ what: type, id: streamId, bytes: payload.toString('hex') }),
    stopped: () => false,
  })
  for (const chunk of chunks) reader.push(Buffer.from(chunk))
  return seen
}

const id = fc.integer({ min: 1, max: 0x7fffffff })
const frames = fc.oneof(
  fc
    .tuple(id, fc.uint8Array({ maxLength: 300 }))
    .map(([stream, message]) => Buffer.concat(encodeMessage(FrameType.OPEN, stream, message))),
  fc
    .tuple(id, fc.uint8Array({ minLength: 1, maxLength: 300 }))
    .map(([stream, bytes]) =>
      Buffer.concat([encodeHeader(FrameType.DATA, stream, bytes.length), bytes]),
    ),
  id.map(encodeEnd),
  fc
    .tuple(id, fc.string({ maxLength: 50 }))
    .map(([stream, text]) => encodeReset(stream, 'cancelled', text)),
  fc.tuple(id, fc.nat()).map(([stream, bytes]) => encodeWindow(stream, bytes)),
  fc.constant(encodePing(Buffer.alloc(8, 7))),
  fc.string({ maxLength: 50 }).map(encodeGoAway),
)

test('wherever the bytes are cut, the frames are the same', () => {
  fc.assert(
    fc.property(fc.array(frames, { maxLength: 12 }), fc.array(fc.nat()), (sent, cuts) => {
      const bytes = Buffer.concat(sent)
      const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((a, b) => a - b)
      const pieces = [0, ...at].map((start, index) => bytes.subarray(start, at[index]))
      expect(read(pieces)).toEqual(read([bytes]))
    }),
  )
})

test('frames come through when every byte comes alone', () => {
  const bytes = Buffer.concat([
    ...encodeMessage(FrameType.HEAD, 3, Buffer.from('head')),
    encodeHeader(FrameType.DATA, 3, 4),
    Buffer.from('data'),
    encodeReset(3, 'failed', 'why'),
  ])
  expect(read([...bytes].map((byte) => Buffer.from([byte])))).toEqual(read([bytes]))
})

test.each([0, 1, PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX + 1, 3 * PAYLOAD_BYTES_MAX, HEAD_BYTES_MAX])(
  'a message of %i bytes comes through whole',
  (length) => {
    const message = Buffer.alloc(length, 'x')
    const parts = encodeMessage(FrameType.HEAD, 9, message)
    const what = { what: FrameType.HEAD, id: 9, bytes: message.toString('hex') }
    expect(read([Buffer.concat(parts)])).toEqual([what])
  },
)

const more = (length: number) => [
  encodeHeader(FrameType.OPEN, 1, length, true),
  Buffer.alloc(length),
]

test.each([
  { name: 'an unknown type', bytes: [Buffer.from([77, 0, 0, 0, 0, 0, 0, 1])] },
  { name: 'type 0', bytes: [Buffer.alloc(8)] },
  { name: 'an unknown flag', bytes: [Buffer.from([3, 1, 0, 1, 0, 0, 0, 1])] },
  { name: 'an empty DATA', bytes: [encodeHeader(FrameType.DATA, 1, 0)] },
  { name: 'an END with a payload', bytes: [encodeHeader(FrameType.END, 1, 1)] },
  { name: 'a WINDOW of three bytes', bytes: [encodeHeader(FrameType.WINDOW, 1, 3)] },
  { name: 'a stream id of 0', bytes: [encodeHeader(FrameType.DATA, 0, 1)] },
  { name: 'a stream id that is too large', bytes: [encodeHeader(FrameType.DATA, 0x80000000, 1)] },
  { name: 'a PING about a stream', bytes: [encodeHeader(FrameType.PING, 1, 8)] },
  { name: 'a message in small frames', bytes: more(10) },
  {
    name: 'a message of more than 1 MiB',
    bytes: Array(17).fill(Buffer.concat(more(PAYLOAD_BYTES_MAX))),
  },
  { name: 'a frame within a message', bytes: [...more(PAYLOAD_BYTES_MAX), encodeEnd(1)] },
])('$name is a protocol error', ({ bytes }) => {
  expect(() => read(bytes)).toThrow(MuxProtocolError)
})

test('random bytes are frames or a protocol error, nothing else', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 8 }), (chunks) => {
      const outcome = (): unknown => {
        try {
          return read(chunks)
        } catch (error) {
          return error instanceof MuxProtocolError ? [] : error
        }
      }
      expect(outcome()).toBeInstanceOf(Array)
    }),
    { numRuns: 500 },
  )
})
