import { decodeLines } from '@postern/kube-http'
import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { ErrorCode, FrameType, PREFACE, Setting } from '../http2/frame.ts'
import { frame } from '../http2/frame-testing.ts'
import type { FrontHead, FrontRequest } from './front-interface.ts'
import { FRONT_LIMITS } from './front-limits.ts'
import {
  block,
  connectHttp2,
  credit,
  data,
  fields,
  type Line,
  openHttp2,
  pseudo,
  request,
  reset,
  setting,
} from './http2-testing.ts'
import { echo, keeper, settle } from './testing.ts'

const OK = { status: 200, headers: [] }
const SEED = { seed: Date.now() & 0x7fffffff }

/** What was asked of a connection, each answered at once. */
async function asker() {
  const heads: FrontHead[] = []
  const opened = await openHttp2((asked) => {
    heads.push(asked.head)
    asked.answer(OK, Buffer.from('ok'))
  })
  return { ...opened, asked: heads }
}

test('requests of a connection are answered each on its own stream', async () => {
  const { send, heads, body } = await openHttp2(echo)
  await send(request(1, { path: '/api' }), request(3, { path: '/apis' }))
  expect(heads().map(({ streamId, fields: [status] }) => [streamId, status])).toEqual([
    [1, [':status', '200']],
    [3, [':status', '200']],
  ])
  expect([String(body(1)), String(body(3))]).toEqual(['GET /api', 'GET /apis'])
})

test('the answer says what it is as HTTP/2 does: lines for the next hop stay here', async () => {
  const { send, heads } = await openHttp2((asked) => {
    const headers: Line[] = [
      ['Content-Type', 'application/json'],
      ['Connection', 'close'],
      ['Date', 'today'],
    ]
    asked.answer({ status: 200, headers }, Buffer.from('{}'))
  })
  await send(request(1))
  expect(heads().map(({ fields: lines }) => lines)).toEqual([
    [
      [':status', '200'],
      ['content-type', 'application/json'],
      ['date', 'today'],
      ['content-length', '2'],
    ],
  ])
})

test('whatever bytes names and values have, a stream is served or reset, and its connection lives', async () => {
  const token = fc.constantFrom(
    'accept',
    'user-agent',
    'kubectl-command',
    'audit-id',
    'traceparent',
  )
  const bytes = (least: number) =>
    fc
      .uint8Array({ minLength: least, maxLength: 12 })
      .map((some) => Buffer.from(some).toString('latin1'))
  const line = fc.tuple(fc.oneof(token, bytes(1)), bytes(0))
  const stream = fc.array(line, { maxLength: 6 })
  let served = 0
  await fc.assert(
    fc.asyncProperty(fc.array(stream, { minLength: 1, maxLength: 6 }), async (streams) => {
      const { send, asked, heads, reset: resetOf, goAway } = await asker()
      await send(...streams.map((lines, at) => request(1 + 2 * at, { lines })))
      for (const at of streams.keys()) {
        const isServed = heads().some(({ streamId }) => streamId === 1 + 2 * at)
        expect(isServed).toBe(resetOf(1 + 2 * at) === undefined)
      }
      expect(goAway()).toBe(undefined)
      for (const { lines } of asked) {
        expect(decodeLines(lines.forwarded.text).at(-1)).toEqual(['X-Forwarded-For', '10.0.0.1'])
      }
      served += asked.length
    }),
    { ...SEED, numRuns: 300 },
  )
  expect(served).toBeGreaterThan(100)
})

test('streams of a connection that overlap each say their own lines, in whatever order they are asked', async () => {
  const who = fc.constantFrom('alice', 'bob', 'nobody')
  await fc.assert(
    fc.asyncProperty(fc.array(who, { minLength: 1, maxLength: 12 }), async (users) => {
      const { send, asked } = await asker()
      const said = (user: string): Line[] =>
        user === 'nobody' ? [] : [['authorization', `Bearer ${user}`]]
      await send(...users.map((user, at) => request(1 + 2 * at, { lines: said(user) })))
      const presented = users.map((user) =>
        user === 'nobody' ? { kind: 'none' } : { kind: 'token', token: user },
      )
      expect(asked.map(({ lines }) => lines.presented)).toEqual(presented)
    }),
    { ...SEED, numRuns: 100 },
  )
})

const get = (...lines: Line[]): Line[] => [...pseudo('/api'), ...lines]

test.each<{ what: string; lines: Line[] }>([
  { what: 'a pseudo-header that is said twice', lines: get([':path', '/api']) },
  { what: 'a pseudo-header that is said twice, differently', lines: get([':method', 'DELETE']) },
  { what: 'a pseudo-header behind another line', lines: get(['a', 'b'], [':path', '/']) },
  { what: 'a pseudo-header that does not exist', lines: get([':user', 'alice']) },
  { what: 'extended CONNECT', lines: get([':protocol', 'websocket']) },
  { what: 'no method', lines: pseudo('/api').slice(1) },
  { what: 'no path', lines: pseudo('/api').slice(0, 3) },
  { what: 'no scheme', lines: pseudo('/api').toSpliced(1, 1) },
  { what: 'no scheme that could be', lines: pseudo('/api').with(1, [':scheme', '']) },
  { what: 'a host with an end of line', lines: pseudo('/api').with(2, [':authority', 'a\r\nb']) },
  { what: 'an empty path', lines: pseudo('') },
  { what: 'a path with a space', lines: pseudo('/api /secrets') },
  { what: 'a path with an end of line', lines: pseudo('/api\r\nHost: other') },
  { what: 'a path with a byte above ASCII', lines: pseudo('/\xe4') },
  { what: 'a name in upper case', lines: get(['Impersonate-User', 'root']) },
  { what: 'a name with a space', lines: get(['impersonate-user ', 'root']) },
  { what: 'an empty name', lines: get(['', 'root']) },
  { what: 'a value with an end of line', lines: get(['a', 'b\r\nimpersonate-user: root']) },
  { what: 'a value with NUL', lines: get(['a', 'b\0']) },
  { what: 'a value behind a space', lines: get(['a', ' b']) },
  { what: 'a value before a tab', lines: get(['a', 'b\t']) },
  { what: 'connection', lines: get(['connection', 'keep-alive']) },
  { what: 'transfer-encoding', lines: get(['transfer-encoding', 'chunked']) },
  { what: 'upgrade', lines: get(['upgrade', 'SPDY/3.1']) },
  { what: 'te', lines: get(['te', 'gzip']) },
  { what: 'a body that does not come', lines: get(['content-length', '1']) },
  { what: 'a length that is no number', lines: get(['content-length', '+0']) },
  { what: 'two lengths', lines: get(['content-length', '0'], ['content-length', '0']) },
])('a stream with $what is reset, and never a request', async ({ lines }) => {
  const { send, asked, reset: resetOf, heads } = await asker()
  await send(fields(1, lines), request(3))
  expect(resetOf(1)).toBe(ErrorCode.PROTOCOL_ERROR)
  expect(asked.map(({ target }) => target)).toEqual(['/api'])
  expect(heads().map(({ streamId }) => streamId)).toEqual([3])
})

test.each<{ what: string; lines: Line[]; status: string }>([
  { what: 'a method that is not served', lines: pseudo('/api', 'FOO'), status: '405' },
  { what: 'a method in lower case', lines: pseudo('/api', 'get'), status: '405' },
  {
    what: 'CONNECT',
    lines: [
      [':method', 'CONNECT'],
      [':authority', 'a:1'],
    ],
    status: '405',
  },
  { what: 'another form of target', lines: pseudo('*', 'OPTIONS'), status: '400' },
  { what: 'a Host that is not :authority', lines: get(['host', 'other']), status: '400' },
  { what: 'two Hosts', lines: get(['host', 'a'], ['host', 'a']), status: '400' },
  { what: 'no Host at all', lines: pseudo('/api').toSpliced(2, 1), status: '400' },
  { what: 'an empty Host', lines: pseudo('/api').with(2, [':authority', '']), status: '400' },
])('a stream with $what is answered with $status, and never a request', async (row) => {
  const { send, asked, heads, malformed } = await asker()
  await send(fields(1, row.lines), request(3))
  expect(heads()[0]?.fields[0]).toEqual([':status', row.status])
  expect([asked.length, malformed.length]).toEqual([1, 1])
})

test('what is refused is said as its method has it: nothing follows the head of an answer to HEAD', async () => {
  const { send, heads, body } = await asker()
  await send(request(1, { method: 'HEAD', lines: [['host', 'other']] }))
  expect(heads().map(({ isEnd }) => isEnd)).toEqual([true])
  expect(body(1)).toHaveLength(0)
})

test('more lines than a head may have are answered with 431, and what they said to the tables holds', async () => {
  const { send, asked, heads } = await asker()
  const many = Array.from({ length: 1001 }, (_, at): Line => [`a-${at}`, ''])
  await send(request(1, { lines: many }), request(3))
  expect(heads()[0]?.fields[0]).toEqual([':status', '431'])
  expect(asked).toHaveLength(1)
})

const PING = frame(FrameType.PING, 0, 0, Buffer.alloc(8))
const { PROTOCOL_ERROR, FRAME_SIZE_ERROR, FLOW_CONTROL_ERROR, ENHANCE_YOUR_CALM } = ErrorCode

test.each([
  { what: 'DATA on no stream', bytes: frame(FrameType.DATA, 0, 0), code: PROTOCOL_ERROR },
  { what: 'DATA before HEADERS', bytes: data(7, Buffer.of(1)), code: PROTOCOL_ERROR },
  { what: 'HEADERS on no stream', bytes: request(0), code: PROTOCOL_ERROR },
  { what: 'a stream with an even id', bytes: request(2), code: PROTOCOL_ERROR },
  { what: 'a reset before HEADERS', bytes: reset(7, 8), code: PROTOCOL_ERROR },
  { what: 'credit before HEADERS', bytes: credit(7, 1), code: PROTOCOL_ERROR },
  { what: 'no credit at all', bytes: credit(0, 0), code: PROTOCOL_ERROR },
  { what: 'too much credit', bytes: credit(0, 2 ** 31 - 1), code: FLOW_CONTROL_ERROR },
  { what: 'too large a window', bytes: setting(4, 2 ** 31), code: FLOW_CONTROL_ERROR },
  { what: 'too small a frame size', bytes: setting(5, 16_383), code: PROTOCOL_ERROR },
  { what: 'too large a frame size', bytes: setting(5, 2 ** 24), code: PROTOCOL_ERROR },
  { what: 'a switch that is 2', bytes: setting(Setting.ENABLE_PUSH, 2), code: PROTOCOL_ERROR },
  { what: 'HEADERS on a closed stream', bytes: request(3), code: ErrorCode.STREAM_CLOSED },
  { what: 'a push', bytes: frame(FrameType.PUSH_PROMISE, 4, 1), code: PROTOCOL_ERROR },
  { what: 'a continuation of nothing', bytes: frame(9, 4, 1), code: PROTOCOL_ERROR },
  {
    what: 'PING within a field block',
    bytes: Buffer.concat([frame(FrameType.HEADERS, 0, 1, block(pseudo('/'))), PING]),
    code: PROTOCOL_ERROR,
  },
  {
    what: "another stream's continuation",
    bytes: Buffer.concat([frame(FrameType.HEADERS, 0, 1), frame(9, 4, 3)]),
    code: PROTOCOL_ERROR,
  },
  { what: 'a short PING', bytes: frame(FrameType.PING, 0, 0), code: FRAME_SIZE_ERROR },
  { what: 'PING on a stream', bytes: frame(FrameType.PING, 0, 1, Buffer.alloc(8)), code: 1 },
  { what: 'SETTINGS on a stream', bytes: frame(FrameType.SETTINGS, 0, 1), code: 1 },
  { what: 'too many settings', bytes: frame(4, 0, 0, Buffer.alloc(33 * 6)), code: 11 },
  { what: 'half a setting', bytes: frame(4, 0, 0, Buffer.alloc(3)), code: FRAME_SIZE_ERROR },
  { what: 'an ACK with settings', bytes: frame(4, 1, 0, Buffer.alloc(6)), code: FRAME_SIZE_ERROR },
  { what: 'a frame that is too large', bytes: Buffer.from('00400100000000000100', 'hex'), code: 6 },
  { what: 'only padding', bytes: frame(FrameType.DATA, 8, 1, Buffer.of(1)), code: PROTOCOL_ERROR },
  { what: 'a field block that is none', bytes: frame(1, 5, 1, Buffer.of(0x80)), code: 9 },
])('$what ends the connection with a reason, and its streams', async ({ bytes, code }) => {
  const { handle, listener, heard } = keeper()
  const { send, goAway, state } = await openHttp2((asked) => {
    handle(asked)
    asked.listen(listener)
  })
  await send(request(5))
  await send(bytes.length === 10 ? bytes : Buffer.concat([bytes, request(9)]))
  expect(goAway()?.code).toBe(code)
  expect(goAway()?.text).not.toBe('')
  expect(heard).toEqual(['end of body', 'gone'])
  expect(state.ended).toBe(true)
})

test('whoever does not speak HTTP/2 is told so', async () => {
  const { send, goAway, state } = connectHttp2(echo)
  await send(Buffer.from('GET / HTTP/1.1\r\nHost: demo\r\n\r\n'))
  expect(goAway()?.code).toBe(PROTOCOL_ERROR)
  expect(state.ended).toBe(true)
})

test('the first frame is SETTINGS', async () => {
  const { send, goAway } = connectHttp2(echo)
  await send(PREFACE, PING)
  expect(goAway()?.code).toBe(PROTOCOL_ERROR)
})

test.each([
  { what: 'resets', flood: (id: number) => [request(id), reset(id, 8)] },
  { what: 'requests that are reset here', flood: (id: number) => [fields(id, [])] },
  { what: 'heads that are refused', flood: (id: number) => [request(id, { method: 'FOO' })] },
  { what: 'pings', flood: () => [PING] },
  { what: 'settings', flood: () => [frame(FrameType.SETTINGS, 0, 0)] },
  { what: 'frames of no bytes', flood: (id: number) => [...first(id), data(1, Buffer.alloc(0))] },
  { what: 'priorities', flood: () => [frame(FrameType.PRIORITY, 0, 1, Buffer.alloc(5))] },
  { what: 'frames that nobody knows', flood: () => [frame(99, 0, 0)] },
])('a flood of $what ends the connection', async ({ flood }) => {
  const { handle } = keeper()
  const { send, goAway } = await openHttp2(handle)
  const frames = Array.from({ length: 4_000 }, (_, at) => flood(1 + 2 * at)).flat()
  await send(...frames)
  expect(goAway()?.code).toBe(ENHANCE_YOUR_CALM)
})

function first(id: number): Buffer[] {
  return id === 1 ? [request(1, { method: 'POST', isWhole: false })] : []
}

test('a client that reads nothing of what is no answer is given up', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  try {
    const { send, client, server } = await openHttp2(echo)
    client.pause()
    const pings = Array.from({ length: 1_900 }, () => PING)
    for (let rounds = 0; rounds < 60 && !server.destroyed; rounds += 1) {
      await send(...pings)
      expect(server.writableLength).toBeLessThan(2 * 1024 * 1024)
      vi.advanceTimersByTime(20_000)
    }
    expect(server.destroyed).toBe(true)
  } finally {
    vi.useRealTimers()
  }
})

test('as many uploads as there may be streams can be refused before their bodies came', async () => {
  const { handle, requests } = keeper()
  const { send, goAway } = await openHttp2(handle)
  const ids = Array.from({ length: 500 }, (_, at) => 1 + 2 * at)
  await send(...ids.map((id) => request(id, { method: 'POST', isWhole: false })))
  for (const asked of requests) asked.answer({ status: 403, headers: [] }, Buffer.alloc(0))
  await settle()
  for (let rounds = 0; rounds < 10; rounds += 1) {
    await send(...ids.map((id) => data(id, Buffer.of(1), { isEnd: rounds === 9 })))
  }
  expect(goAway()).toBe(undefined)
})

test('five hundred requests that end at once, and a ping in between, are no flood', async () => {
  const { handle } = keeper()
  const { send, goAway, frames } = await openHttp2(handle)
  const ids = Array.from({ length: 500 }, (_, at) => 1 + 2 * at)
  await send(...ids.map((id) => request(id)), PING)
  await send(...ids.map((id) => reset(id, ErrorCode.CANCEL)))
  expect(goAway()).toBe(undefined)
  expect(frames(FrameType.PING)).toHaveLength(1)
})

test('of more streams than may be open, those too many are refused, and others go on', async () => {
  const { handle, requests } = keeper()
  const { send, reset: resetOf, body } = await openHttp2(handle)
  const ids = Array.from({ length: 501 }, (_, at) => 1 + 2 * at)
  await send(...ids.map((id) => request(id)))
  expect(requests).toHaveLength(500)
  expect(resetOf(1001)).toBe(ErrorCode.REFUSED_STREAM)
  requests[0]?.answer(OK, Buffer.from('now'))
  await send(request(1003))
  expect(String(body(1))).toBe('now')
  expect(requests).toHaveLength(501)
})

test('a field block may come in many frames, and not in endlessly many', async () => {
  const { send, asked, goAway, headBudget } = await asker()
  const bytes = block([...pseudo('/api'), ['a', 'b'.repeat(20_000)]])
  await send(
    frame(FrameType.HEADERS, 1, 1, bytes.subarray(0, 10)),
    frame(FrameType.CONTINUATION, 0, 1, bytes.subarray(10, 16_000)),
    frame(FrameType.CONTINUATION, 4, 1, bytes.subarray(16_000)),
  )
  expect(asked).toHaveLength(1)
  expect(headBudget.bytesLeft).toBe(1 << 24)
  const empty = Array.from({ length: 300 }, () => frame(FrameType.CONTINUATION, 0, 3))
  await send(frame(FrameType.HEADERS, 1, 3), ...empty)
  expect(goAway()?.code).toBe(ENHANCE_YOUR_CALM)
})

test('what begun field blocks of all connections hold together is bounded, and given back', async () => {
  const { send, goAway, headBudget } = await openHttp2(echo, { budgetBytes: 20_000 })
  await send(frame(FrameType.HEADERS, 1, 1, Buffer.alloc(15_000)))
  expect(headBudget.bytesLeft).toBe(5_000)
  await send(frame(FrameType.CONTINUATION, 0, 1, Buffer.alloc(6_000)))
  expect(goAway()?.code).toBe(ENHANCE_YOUR_CALM)
  expect(headBudget.bytesLeft).toBe(20_000)
})

test('a preface or a field block that does not become whole in time ends the connection', async () => {
  const mute = connectHttp2(echo)
  mute.pass(FRONT_LIMITS.headMs - 1_000)
  expect(mute.goAway()).toBe(undefined)
  mute.pass(FRONT_LIMITS.headMs + 1_000)
  await settle()
  expect(mute.goAway()?.code).toBe(ENHANCE_YOUR_CALM)
  const { handle } = keeper()
  const { send, pass, goAway } = await openHttp2(handle)
  await send(request(1), frame(FrameType.HEADERS, 1, 3))
  pass(FRONT_LIMITS.headMs + 1_000)
  await settle()
  expect(goAway()?.code).toBe(ENHANCE_YOUR_CALM)
})

test('a connection on which nothing runs is closed after a while, one with a request is not', async () => {
  const { handle, requests } = keeper()
  const { send, pass, goAway, state } = await openHttp2(handle)
  await send(request(1))
  pass(FRONT_LIMITS.idleMs + 1_000)
  await settle()
  expect(goAway()).toBe(undefined)
  requests[0]?.answer(OK, Buffer.alloc(0))
  await settle()
  pass(FRONT_LIMITS.idleMs + 1_000)
  await settle()
  expect([goAway()?.code, state.ended]).toEqual([ErrorCode.NO_ERROR, true])
})

test('an old connection takes no new streams, and ends behind the last one', async () => {
  const { handle, requests } = keeper()
  const { send, pass, goAway, state, body } = await openHttp2(handle)
  await send(request(1))
  pass(FRONT_LIMITS.ageMs + 1_000)
  await send(request(3), data(3, Buffer.of(1)))
  expect([goAway()?.code, requests.length, state.ended]).toEqual([0, 1, false])
  requests[0]?.answer(OK, Buffer.from('the last'))
  await settle()
  expect([String(body(1)), state.ended]).toEqual(['the last', true])
})

test('the last answer of a connection that is closed is told that it is sent, like all before it', async () => {
  const { handle, listener, heard, requests } = keeper()
  const { send, connection, state } = await openHttp2((asked) => {
    handle(asked)
    asked.listen(listener)
  })
  await send(request(1), request(3))
  connection.close()
  for (const asked of requests) {
    asked.respond(OK)
    asked.end()
  }
  await settle()
  expect(heard).toEqual(['end of body', 'end of body', 'sent', 'sent'])
  expect(state.ended).toBe(true)
})

test('announcing the end refuses nothing yet', async () => {
  const { connection, send, frames, asked } = await asker()
  connection.announceEnd()
  await send(request(1))
  expect(frames(FrameType.GOAWAY).map(({ payload }) => payload.readUInt32BE(0))).toEqual([
    2 ** 31 - 1,
  ])
  expect(asked).toHaveLength(1)
})

test('a client that closes its end is gone, with all that ran for it', async () => {
  const { handle, listener, heard } = keeper()
  const { send, client, state } = await openHttp2((asked) => {
    handle(asked)
    asked.listen(listener)
  })
  await send(request(1))
  client.end()
  await settle()
  expect(heard).toEqual(['end of body', 'gone'])
  expect(state.ended).toBe(true)
})

test('an answer that ends because another client is told of the end still learns that it is lost', async () => {
  const heard: string[] = []
  const requests: FrontRequest[] = []
  const { send } = await openHttp2((asked) => {
    requests.push(asked)
    asked.listen({
      onBody() {},
      onBodyEnd() {},
      onAnswerDrain() {},
      onSent: () => void heard.push(`${asked.head.target} sent`),
      onGone() {
        heard.push(`${asked.head.target} gone`)
        if (asked !== requests[0]) return
        requests[1]?.respond(OK)
        requests[1]?.end()
      },
    })
  })
  await send(request(1, { path: '/first' }), request(3, { path: '/second' }))
  await send(reset(9, ErrorCode.CANCEL))
  expect(heard).toEqual(['/first gone', '/second gone'])
})

test('whatever frames come in whatever packets, each request hears once how it ended', async () => {
  const id = fc.constantFrom(1, 3, 5)
  const code = fc.constantFrom(0, 1, ErrorCode.CANCEL)
  const opened = fc
    .record({ id, method: fc.constantFrom('GET', 'HEAD', 'POST', 'FOO'), isWhole: fc.boolean() })
    .map(({ id: stream, method, isWhole }) => request(stream, { method, isWhole }))
  const body = fc
    .record({ id, isEnd: fc.boolean(), bytes: fc.uint8Array({ maxLength: 8 }) })
    .map(({ id: stream, isEnd, bytes }) => data(stream, Buffer.from(bytes), { isEnd }))
  const resets = fc.tuple(id, code).map(([stream, why]) => reset(stream, why))
  const credits = fc
    .tuple(fc.constantFrom(0, 1, 3, 5), fc.constantFrom(0, 1, 70_000, 2 ** 31 - 1))
    .map(([stream, bytes]) => credit(stream, bytes))
  const window = fc.constantFrom(0, 1, 65_535).map((bytes) => setting(4, bytes))
  const goAway = code.map((why) => frame(7, 0, 0, Buffer.of(0, 0, 0, 0, 0, 0, 0, why)))
  const anything = fc
    .tuple(fc.nat(10), fc.nat(255), fc.nat(6), fc.uint8Array({ maxLength: 12 }))
    .map(([type, flags, stream, payload]) => frame(type, flags, stream, payload))
  const frames = fc.oneof(
    { weight: 6, arbitrary: opened },
    { weight: 3, arbitrary: body },
    { weight: 4, arbitrary: resets },
    { weight: 3, arbitrary: credits },
    { weight: 1, arbitrary: window },
    { weight: 1, arbitrary: goAway },
    { weight: 1, arbitrary: anything },
  )
  const packets = fc.array(fc.array(frames, { minLength: 1, maxLength: 4 }), { maxLength: 5 })
  const deed = fc.constantFrom(...DEEDS)
  let asked = 0
  await fc.assert(
    fc.asyncProperty(packets, fc.array(deed, { maxLength: 5 }), async (written, deeds) => {
      const ends: string[][] = []
      const { send, connection, client, headBudget } = await openHttp2((incoming) => {
        const heard: string[] = []
        ends.push(heard)
        incoming.listen({
          onBody() {},
          onBodyEnd() {},
          onAnswerDrain() {},
          onSent: () => void heard.push('sent'),
          onGone: () => void heard.push('gone'),
        })
        void doAll(incoming, deeds, heard, () => connection.close())
      })
      for (const packet of written) await send(...packet)
      connection.destroy()
      client.destroy()
      await settle()
      for (const heard of ends) expect(heard).toHaveLength(1)
      expect(headBudget.bytesLeft).toBe(1 << 24)
      asked += ends.length
    }),
    { ...SEED, numRuns: 500 },
  )
  expect(asked).toBeGreaterThan(100)
})

const DEEDS = ['respond', 'write', 'end', 'answer', 'pause', 'resume', 'abort', 'close'] as const

/** One deed at a turn. Whoever answers or aborts hears nothing of the client any more, so that is heard here. */
async function doAll(
  incoming: FrontRequest,
  deeds: readonly string[],
  heard: string[],
  close: () => void,
): Promise<void> {
  for (const deed of deeds) {
    await settle()
    if (deed === 'respond') incoming.respond(OK)
    else if (deed === 'write') incoming.write(Buffer.alloc(40_000))
    else if (deed === 'end') incoming.end()
    else if (deed === 'pause') incoming.pause()
    else if (deed === 'resume') incoming.resume()
    else if (deed === 'close') close()
    else if (deed === 'abort' || !incoming.responded) {
      if (heard.length === 0) heard.push(deed)
      if (deed === 'abort') incoming.abort()
      else incoming.answer(OK, Buffer.from('ok'))
    }
  }
}
