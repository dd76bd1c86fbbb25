import { duplexPair } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { MuxSession, MuxStream } from './api.ts'
import {
  encodeEnd,
  encodeGoAway,
  encodeHeader,
  encodeMessage,
  encodePing,
  encodeReset,
  encodeWindow,
  FrameType,
  WINDOW_BYTES,
} from './frame.ts'
import { createMuxSession } from './session.ts'
import { bytesOf, type Heard, listen, until } from './testing.ts'

// oxlint-disable-next-line node/no-process-env -- how long to look, and to repeat a run that failed
const { POSTERN_TEST_FUZZ_RUNS, POSTERN_TEST_FUZZ_SEED } = process.env
const RUNS = Number(POSTERN_TEST_FUZZ_RUNS ?? 300)
/** Far more than so many runs take. */
const TIMEOUT_MS = 20_000 + RUNS * 100
const seed = Number(POSTERN_TEST_FUZZ_SEED ?? Date.now() & 0x7fffffff)

const NOTHING = Buffer.alloc(0)
const data = (id: number, bytes: Uint8Array) =>
  Buffer.concat([encodeHeader(FrameType.DATA, id, bytes.length), bytes])

/** Ids that are used again and again, so that frames meet streams in every state. */
const id = fc.integer({ min: 1, max: 5 })
const text = fc.string({ maxLength: 40 })
const frame = fc.oneof(
  {
    weight: 4,
    arbitrary: id.map((one) => Buffer.concat(encodeMessage(FrameType.OPEN, one, NOTHING))),
  },
  fc
    .tuple(id, fc.uint8Array({ maxLength: 90 }))
    .map(([one, head]) => Buffer.concat(encodeMessage(FrameType.HEAD, one, head))),
  {
    weight: 6,
    arbitrary: fc
      .tuple(id, fc.integer({ min: 1, max: 0xffff }))
      .map(([one, length]) => data(one, Buffer.alloc(length, one))),
  },
  id.map(encodeEnd),
  fc
    .tuple(id, fc.constantFrom('stop' as const, 'cancelled' as const, 'failed' as const), text)
    .map(([one, code, why]) => encodeReset(one, code, why)),
  fc.tuple(id, fc.nat({ max: 0xffffffff })).map(([one, bytes]) => encodeWindow(one, bytes)),
  fc.uint8Array({ minLength: 8, maxLength: 8 }).map(encodePing),
  text.map(encodeGoAway),
)
const rubbish = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes))
const role = fc.constantFrom('client' as const, 'server' as const)

/** A session with a peer that says what it likes. */
function facing(end: 'client' | 'server', unreadBytesMax = 1 << 20) {
  const [a, b] = duplexPair()
  b.resume()
  const session = createMuxSession(a, { role: end, limits: { unreadBytesMax } })
  const streams: MuxStream[] = []
  const heard: Heard[] = []
  const take = (stream: MuxStream) => {
    streams.push(stream)
    heard.push(listen(stream))
  }
  session.onStream((stream) => {
    take(stream)
    stream.sendHead(NOTHING)
  })
  if (end === 'client') for (let opened = 0; opened < 5; opened += 1) take(session.open(NOTHING))
  return { session, peer: b, streams, heard }
}

async function over(session: MuxSession, heard: readonly Heard[]): Promise<void> {
  await session.closed
  await until(() => heard.every(({ closed }) => closed))
  expect(session.streams).toBe(0)
}

test(
  'whatever a peer sends, and however it is cut, every stream ends and so does the session',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        role,
        fc.array(fc.oneof({ weight: 12, arbitrary: frame }, rubbish), { maxLength: 30 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        async (end, frames, cuts) => {
          const { session, peer, heard } = facing(end)
          for (const piece of cut(Buffer.concat(frames), cuts)) {
            peer.write(piece)
            await setImmediate()
          }
          peer.end()
          await over(session, heard)
        },
      ),
      { numRuns: RUNS, seed },
    )
  },
  TIMEOUT_MS,
)

test(
  'a peer cannot make a session hold more than its budget',
  async () => {
    const unreadBytesMax = 2 * WINDOW_BYTES
    await fc.assert(
      fc.asyncProperty(
        role,
        fc.array(frame, { minLength: 10, maxLength: 120 }),
        async (end, frames) => {
          const { session, peer, streams, heard } = facing(end, unreadBytesMax)
          for (const bytes of frames) {
            for (const stream of streams) stream.pause()
            peer.write(bytes)
            await setImmediate()
          }
          const read = heard.reduce((sum, one) => sum + bytesOf(one), 0)
          for (const stream of streams) stream.resume()
          const held = heard.reduce((sum, one) => sum + bytesOf(one), 0) - read
          expect(held).toBeLessThanOrEqual(unreadBytesMax)
          peer.end()
          await over(session, heard)
        },
      ),
      { numRuns: Math.ceil(RUNS / 10), seed },
    )
  },
  TIMEOUT_MS,
)

test('wherever a conversation is cut, the same is heard', async () => {
  const conversation = Buffer.concat([
    ...encodeMessage(FrameType.OPEN, 1, Buffer.from('first')),
    data(1, Buffer.from('body of the first')),
    ...encodeMessage(FrameType.OPEN, 2, Buffer.alloc(300, 'h')),
    encodePing(Buffer.alloc(8, 7)),
    data(2, Buffer.from('of the second')),
    encodeEnd(1),
    encodeWindow(2, 1000),
    data(2, Buffer.from(', which is cancelled')),
    encodeReset(2, 'cancelled', 'no more'),
    ...encodeMessage(FrameType.OPEN, 3, NOTHING),
    encodeEnd(3),
    encodeGoAway('done'),
  ])
  const hear = async (pieces: readonly Buffer[]) => {
    const { session, peer, streams, heard } = facing('server')
    for (const piece of pieces) {
      peer.write(piece)
      await setImmediate()
    }
    for (const stream of streams) stream.end()
    await session.closed
    return heard.map((one) => ({ ...one, data: Buffer.concat(one.data).toString() }))
  }
  const whole = await hear([conversation])
  expect(whole).toMatchObject([
    { data: 'body of the first', ended: true, closed: true },
    { data: 'of the second, which is cancelled', ended: false, error: { code: 'cancelled' } },
    { data: '', ended: true, closed: true },
  ])
  for (let at = 1; at < conversation.length; at += 1) {
    expect(await hear(cut(conversation, [at]))).toEqual(whole)
  }
})

function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.map((one) => one % (bytes.length + 1)))].toSorted((a, b) => a - b)
  return [0, ...at].map((start, index) => bytes.subarray(start, at[index]))
}
