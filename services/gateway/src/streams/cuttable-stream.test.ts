import { expect, test, vi } from 'vitest'
import { CuttableStream } from './cuttable-stream.ts'
import { createLineFraming } from './framing.ts'

type Order = Partial<ConstructorParameters<typeof CuttableStream>[0]>

/** A stream to a client, and all that became of it. */
function toClient(order: Order = {}) {
  const happened: string[] = []
  let takesMore = true
  const stream = new CuttableStream({
    sink: {
      write(chunk) {
        happened.push(chunk.toString())
        return takesMore
      },
      end: () => void happened.push('end'),
      abort: () => void happened.push('abort'),
    },
    onEnd: (end) => void happened.push(`over: ${end}`),
    ...order,
  })
  return {
    stream,
    happened,
    say: (text: string) => stream.write(Buffer.from(text)),
    hold: () => {
      takesMore = false
    },
  }
}
const lines = (): Order => ({ framing: createLineFraming() })
const BYE = Buffer.from('bye\n')
const watch = (): Order => ({ ...lines(), lastWord: Buffer.alloc(0) })
const exec = (): Order => ({ ...lines(), lastWord: BYE })

test('what its source ends clean ends clean, and is over once the last byte is out', () => {
  const { stream, happened, say, hold } = toClient()
  expect(say('a')).toBe(true)
  hold()
  expect(say('b')).toBe(false)
  stream.end()
  expect(happened).toEqual(['a', 'b', 'end'])
  stream.sent()
  stream.gone()
  expect(happened.slice(3)).toEqual(['over: complete'])
  expect(stream.bytes).toBe(2)
})

test.each([
  { what: 'a plain answer', order: {}, said: 'a\n', ends: ['abort'] },
  { what: 'a watch, behind an event', order: watch(), said: 'a\n', ends: ['end'] },
  { what: 'a watch, within one', order: watch(), said: 'a', ends: ['abort'] },
  { what: 'an exec, between two frames', order: exec(), said: 'a\n', ends: ['bye\n', 'end'] },
  { what: 'an exec, within one', order: exec(), said: 'a', ends: ['abort'] },
  { what: 'what nothing can be said to', order: lines(), said: 'a\n', ends: ['abort'] },
])('a source that is lost ends $what with $ends', ({ order, said, ends }) => {
  const { stream, happened, say } = toClient(order)
  say(said)
  stream.lose()
  stream.sent()
  expect(happened).toEqual([said, ...ends, 'over: source-lost'])
})

test.each([
  { what: 'shorter', said: ['abc'] },
  { what: 'longer', said: ['abc', 'de'] },
])('an answer that is $what than it said is no clean one', ({ said }) => {
  const { stream, happened, say } = toClient({ lengthBytes: 4 })
  for (const text of said) say(text)
  stream.end()
  expect(happened).toEqual(['abc', 'abort', 'over: source-lost'])
})

test('an answer that is out before its source has ended is complete, and its source is heard no more', () => {
  const { stream, happened } = toClient()
  stream.sent()
  stream.end()
  stream.lose()
  expect(happened).toEqual(['over: complete'])
  expect(stream.isOver).toBe(true)
})

test('a client that goes away is the end of it', () => {
  const { stream, happened, say } = toClient(lines())
  say('a')
  stream.gone()
  expect(say('b')).toBe(true)
  stream.end()
  stream.cut(BYE)
  expect(stream.conclude()).toBe(false)
  expect(happened).toEqual(['a', 'over: client-gone'])
})

test('an answer that its client did not take is not complete, however whole it was', () => {
  const { stream, happened, say } = toClient()
  say('a')
  stream.end()
  stream.gone()
  stream.sent()
  expect(happened).toEqual(['a', 'end', 'over: client-gone'])
})

test('a cut puts its farewell behind what is begun, and nothing follows', () => {
  const { stream, happened, say } = toClient(lines())
  say('a\nb')
  stream.cut(BYE)
  expect([happened.at(-1), stream.isOver]).toEqual(['a\nb', false])
  say('c\nd\n')
  expect(stream.isOver).toBe(true)
  say('e\n')
  stream.sent()
  expect(happened).toEqual(['a\nb', 'c\n', 'bye\n', 'end', 'over: cut'])
})

test('what ends between two events by itself ends without a word', () => {
  const { stream, happened, say } = toClient(watch())
  say('a')
  expect(stream.conclude()).toBe(true)
  say('\nb')
  stream.sent()
  expect(happened).toEqual(['a', '\n', 'end', 'over: cut'])
  expect(toClient().stream.conclude()).toBe(false)
})

test.each([
  { what: 'that nothing can be put into', order: {}, farewell: BYE },
  { what: 'whose client cannot be told why', order: lines(), farewell: undefined },
])('a stream $what is aborted at once', ({ order, farewell }) => {
  const { stream, happened } = toClient(order)
  stream.cut(farewell)
  expect(happened).toEqual(['abort', 'over: cut'])
})

test('no end waits for the rest of a frame, nor for a client that does not read', () => {
  vi.useFakeTimers()
  try {
    const torn = toClient(lines())
    torn.say('a')
    torn.stream.cut(BYE)
    vi.advanceTimersByTime(10_000)
    expect(torn.happened).toEqual(['a', 'abort', 'over: cut'])
    const unread = toClient(lines())
    unread.stream.cut(BYE)
    expect(unread.happened).toEqual(['bye\n', 'end'])
    vi.advanceTimersByTime(60_000)
    expect(unread.happened.slice(2)).toEqual(['abort', 'over: cut'])
    const lost = toClient(exec())
    lost.stream.lose()
    vi.advanceTimersByTime(60_000)
    expect(lost.happened).toEqual(['bye\n', 'end', 'abort', 'over: source-lost'])

    // What ended by itself meanwhile is not aborted after all.
    const ended = toClient(lines())
    ended.say('a')
    ended.stream.cut(BYE)
    ended.stream.end()
    vi.advanceTimersByTime(60_000)
    expect(ended.happened).toEqual(['a', 'end'])
  } finally {
    vi.useRealTimers()
  }
})
