import { once } from 'node:events'
import { type ClientHttp2Session, connect } from 'node:http2'
import { text } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'
import type { ResponseHead } from '@postern/kube-http'
import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { ErrorCode, FrameType, INITIAL_WINDOW_BYTES, Setting } from '../http2/frame.ts'
import type { FrontRequest } from './front-interface.ts'
import { FRONT_LIMITS } from './front-limits.ts'
import { RECEIVE_WINDOW_BYTES } from './http2-stream.ts'
import { connectHttp2, credit, data, openHttp2, request, reset, setting } from './http2-testing.ts'
import { keeper, settle } from './testing.ts'

const OK: ResponseHead = { status: 200, headers: [['Date', 'today']] }
const ofLength = (bytes: number, status = 200): ResponseHead => ({
  status,
  headers: [...OK.headers, ['Content-Length', String(bytes)]],
})

/** A request that is listened to. */
async function ask(options: Parameters<typeof request>[1] = {}) {
  const kept = keeper()
  const opened = await openHttp2((asked) => {
    kept.handle(asked)
    asked.listen(kept.listener)
  })
  await opened.send(request(1, options))
  const [asked] = kept.requests
  if (asked === undefined) throw new Error('nothing was asked')
  return { ...opened, asked, heard: kept.heard }
}

const upload = { method: 'POST', isWhole: false }

test('an answer ends with its last byte where its length is known, and only then', async () => {
  const { asked, frames, heard } = await ask()
  asked.respond(ofLength(4))
  asked.write(Buffer.from('an'))
  await settle()
  expect(heard).toEqual(['end of body'])
  asked.write(Buffer.from('dx'))
  asked.end()
  await settle()
  const ends = frames(FrameType.DATA, 1).map(({ flags, payload }) => [String(payload), flags])
  expect(ends).toEqual([
    ['an', 0],
    ['dx', 1],
  ])
  expect(heard).toEqual(['end of body', 'sent'])
})

test('an answer whose length is not known ends when that is said', async () => {
  const { asked, frames, body, heard } = await ask()
  asked.respond(OK)
  asked.write(Buffer.from('some'))
  await settle()
  expect(heard).toEqual(['end of body'])
  asked.end()
  await settle()
  expect(String(body(1))).toBe('some')
  expect(frames(FrameType.DATA, 1).at(-1)?.flags).toBe(1)
  expect(heard).toEqual(['end of body', 'sent'])
})

test.each([
  { what: 'to HEAD', method: 'HEAD', head: ofLength(7) },
  { what: 'that nothing was modified', method: 'GET', head: ofLength(7, 304) },
  { what: 'without content', method: 'GET', head: { ...OK, status: 204 } },
  { what: 'of no bytes', method: 'GET', head: ofLength(0) },
])('an answer $what is sent with its head, before it was ended here', async ({ method, head }) => {
  const { asked, heads, body, heard } = await ask({ method })
  asked.respond(head)
  await settle()
  expect(heads()[0]?.isEnd).toBe(true)
  asked.write(Buffer.from('for nobody'))
  asked.end()
  await settle()
  expect([body(1).length, heard.filter((each) => each === 'sent').length]).toEqual([0, 1])
})

test('an answer that ends before its length, or is aborted, is reset and not ended', async () => {
  for (const isAborted of [false, true]) {
    const { asked, reset: resetOf, frames, body, heard } = await ask()
    asked.respond(ofLength(4))
    asked.write(Buffer.from('an'))
    if (isAborted) asked.abort()
    else asked.end()
    await settle()
    expect(resetOf(1)).toBe(ErrorCode.INTERNAL_ERROR)
    expect(heard).toEqual(isAborted ? ['end of body'] : ['end of body', 'gone'])
    expect(frames(FrameType.DATA, 1).every(({ flags }) => flags === 0)).toBe(true)
    // A client might take it for a request that was not even read, and send it again.
    expect(String(body(1))).toBe('an')
  }
})

test('an answer goes as far as the windows of stream and connection let it, and on with every credit', async () => {
  const bytes = Buffer.alloc(200_000, 'b')
  const { asked, send, body, heard, frames } = await ask()
  asked.respond(OK)
  expect(asked.write(bytes)).toBe(false)
  await settle()
  expect(body(1)).toHaveLength(INITIAL_WINDOW_BYTES)
  await send(credit(1, 1_000))
  expect(body(1)).toHaveLength(INITIAL_WINDOW_BYTES)
  await send(credit(0, 10_000))
  expect(body(1)).toHaveLength(INITIAL_WINDOW_BYTES + 1_000)
  await send(setting(Setting.INITIAL_WINDOW_SIZE, INITIAL_WINDOW_BYTES + 500))
  expect(body(1)).toHaveLength(INITIAL_WINDOW_BYTES + 1_500)
  asked.end()
  expect(heard).toEqual(['end of body'])
  await send(credit(0, 1 << 20), credit(1, 1 << 20))
  expect(body(1).equals(bytes)).toBe(true)
  expect(heard).toEqual(['end of body', 'sent'])
  const sizes = frames(FrameType.DATA, 1).map(({ payload }) => payload.length)
  expect(Math.max(...sizes)).toBeLessThanOrEqual(16_384)
})

test('whoever was asked to wait hears when more may be written', async () => {
  const { asked, send, heard } = await ask()
  asked.respond(OK)
  expect(asked.write(Buffer.alloc(INITIAL_WINDOW_BYTES))).toBe(true)
  expect(asked.write(Buffer.of(1))).toBe(false)
  await settle()
  expect(heard).toEqual(['end of body'])
  await send(credit(0, 1), credit(1, 1))
  expect(heard).toEqual(['end of body', 'drain'])
  expect(asked.write(Buffer.of(1))).toBe(false)
})

test('a window that a setting makes less than nothing is waited for', async () => {
  const { asked, send, body } = await ask()
  asked.respond(OK)
  asked.write(Buffer.alloc(1_000))
  await send(setting(Setting.INITIAL_WINDOW_SIZE, 0))
  asked.write(Buffer.of(1))
  await send(credit(1, 1_000))
  expect(body(1)).toHaveLength(1_000)
  await send(credit(1, 1))
  expect(body(1)).toHaveLength(1_001)
})

test('answers that wait for a connection that takes nothing share it when it does again', async () => {
  const kept = keeper()
  const { send, body } = await openHttp2(kept.handle)
  await send(setting(Setting.INITIAL_WINDOW_SIZE, 1 << 20), request(1), request(3))
  for (const asked of kept.requests) {
    asked.respond(OK)
    asked.write(Buffer.alloc(60_000))
    asked.end()
  }
  await settle()
  expect(body(1).length + body(3).length).toBe(INITIAL_WINDOW_BYTES)
  await send(credit(0, 1 << 20))
  expect([body(1).length, body(3).length]).toEqual([60_000, 60_000])
})

test('a body is handed on as it comes, and its client may send more as it is taken', async () => {
  const { asked, send, heard, frames } = await ask(upload)
  await send(data(1, Buffer.from('a')), data(1, Buffer.from('b'), { isEnd: true }))
  expect(heard).toEqual(['a', 'b', 'end of body'])
  expect(frames(FrameType.WINDOW_UPDATE, 1)).toEqual([])
  asked.answer(OK, Buffer.alloc(0))
})

test('a body that is held up stays here, and no more of it than its window may come', async () => {
  const { asked, send, heard, frames, reset: resetOf } = await ask(upload)
  asked.pause()
  const part = Buffer.alloc(16_384, 'x')
  const parts = RECEIVE_WINDOW_BYTES / part.length
  await send(...Array.from({ length: parts }, () => data(1, part)))
  expect([heard.length, frames(FrameType.WINDOW_UPDATE, 1).length]).toEqual([0, 0])
  asked.resume()
  await settle()
  expect(heard).toHaveLength(parts)
  const credits = frames(FrameType.WINDOW_UPDATE, 1).map(({ payload }) => payload.readUInt32BE(0))
  expect(credits.reduce((sum, each) => sum + each, 0)).toBe(RECEIVE_WINDOW_BYTES)
  asked.pause()
  await send(...Array.from({ length: parts + 1 }, () => data(1, part)))
  expect(resetOf(1)).toBe(ErrorCode.FLOW_CONTROL_ERROR)
  expect(heard.at(-1)).toBe('gone')
})

test('padding takes of the window and is not part of the body', async () => {
  const { send, heard } = await ask(upload)
  const padded = Buffer.concat([Buffer.of(3), Buffer.from('body'), Buffer.alloc(3)])
  const bytes = data(1, padded, { isEnd: true })
  bytes[4] = 0x9
  await send(bytes)
  expect(heard).toEqual(['body', 'end of body'])
})

test('of bodies that nobody wants, the window of the connection opens again', async () => {
  const { handle, requests } = keeper()
  const { send, frames, connection } = await openHttp2(handle)
  const part = Buffer.alloc(16_384)
  for (let id = 1; id < 600; id += 2) {
    const parts = Array.from({ length: 16 }, () => data(id, part))
    await send(request(id, upload), ...parts)
    requests.pop()?.answer({ status: 403, headers: [] }, Buffer.alloc(0))
    await settle()
    await send(data(id, part))
  }
  const taken = frames(FrameType.WINDOW_UPDATE, 0).reduce(
    (sum, { payload }) => sum + payload.readUInt32BE(0),
    INITIAL_WINDOW_BYTES,
  )
  // All but what is not worth a frame yet.
  expect(taken).toBeGreaterThan(300 * 17 * part.length)
  expect(connection.outbox.isFree).toBe(true)
})

test.each([
  { what: 'more than it said', parts: ['abc'], isTrailed: false },
  { what: 'less than it said', parts: ['a'], isTrailed: false },
  { what: 'less than it said, before trailers', parts: ['a'], isTrailed: true },
])('a client that sends $what is gone, and its stream is reset', async ({ parts, isTrailed }) => {
  const lines = [['content-length', '2']] as const
  const { send, heard, reset: resetOf } = await ask({ ...upload, lines })
  const sent = parts.map((part) => data(1, Buffer.from(part), { isEnd: !isTrailed }))
  await send(...sent, ...(isTrailed ? [trailers()] : []))
  expect(resetOf(1)).toBe(ErrorCode.PROTOCOL_ERROR)
  expect(heard.at(-1)).toBe('gone')
  expect(heard).not.toContain('end of body')
})

function trailers({ isWhole = true, name = 'checksum' } = {}): Buffer {
  const line = Buffer.concat([Buffer.of(0, name.length), Buffer.from(name), Buffer.of(1, 0x61)])
  const bytes = request(1, { isWhole })
  return Buffer.concat([Buffer.of(0, 0, line.length), bytes.subarray(3, 9), line])
}

test('trailers end a body and say nothing', async () => {
  const { send, heard, asked } = await ask(upload)
  await send(data(1, Buffer.from('all')), trailers())
  expect(heard).toEqual(['all', 'end of body'])
  expect(asked.head.lines.headers).toEqual([])
})

test.each([
  { what: 'that do not end the request', options: { isWhole: false } },
  { what: 'with a pseudo-header', options: { name: ':path' } },
  { what: 'with a name in upper case', options: { name: 'Audit-ID' } },
])('trailers $what reset the stream', async ({ options }) => {
  const { send, heard, reset: resetOf } = await ask(upload)
  await send(trailers(options))
  expect(resetOf(1)).toBe(ErrorCode.PROTOCOL_ERROR)
  expect(heard).toEqual(['gone'])
})

test('what comes behind the end of a request resets its stream', async () => {
  const { send, heard, reset: resetOf } = await ask()
  await send(data(1, Buffer.of(1)))
  expect(resetOf(1)).toBe(ErrorCode.STREAM_CLOSED)
  expect(heard).toEqual(['end of body', 'gone'])
})

test('DATA on a stream that has ended resets it, once', async () => {
  const { asked, send, reset: resetOf, frames, goAway } = await ask()
  asked.answer(OK, Buffer.alloc(0))
  await send(data(1, Buffer.of(1)), data(1, Buffer.of(1)))
  expect(resetOf(1)).toBe(ErrorCode.STREAM_CLOSED)
  expect([frames(FrameType.RST_STREAM).length, goAway()]).toEqual([1, undefined])
})

test('a request that is answered before its body came is asked for no more, and costs the connection nothing', async () => {
  const { asked, send, reset: resetOf, goAway, heads } = await ask(upload)
  await send(data(1, Buffer.alloc(10)))
  asked.answer({ status: 413, headers: [] }, Buffer.from('too large'))
  await settle()
  // In one packet with the answer, curl takes the reset for the end of everything.
  expect([heads().length, resetOf(1)]).toEqual([1, undefined])
  await expect.poll(() => resetOf(1)).toBe(ErrorCode.NO_ERROR)
  await send(data(1, Buffer.alloc(10)), data(1, Buffer.alloc(10)), trailers(), request(3))
  expect(goAway()).toBe(undefined)
  expect(heads().map(({ streamId }) => streamId)).toEqual([1])
})

test('a body that nobody wants is not kept, also where the answer to it waits', async () => {
  const kept = keeper()
  const { send, frames, reset: resetOf } = await openHttp2(kept.handle)
  await send(setting(Setting.INITIAL_WINDOW_SIZE, 0), request(1, upload))
  await send(data(1, Buffer.alloc(1_000)))
  kept.requests[0]?.answer({ status: 401, headers: [] }, Buffer.from('who?'))
  const part = Buffer.alloc(16_384)
  await send(...Array.from({ length: 15 }, () => data(1, part)))
  expect(frames(FrameType.WINDOW_UPDATE, 1)).toEqual([])
  await send(data(1, part))
  expect(resetOf(1)).toBe(ErrorCode.FLOW_CONTROL_ERROR)
})

test('an answer that has ended and of which nothing is taken is given up after a while, one that goes on is not', async () => {
  const kept = keeper()
  const {
    send,
    pass,
    reset: resetOf,
  } = await openHttp2((asked) => {
    kept.handle(asked)
    asked.listen(kept.listener)
  })
  await send(setting(Setting.INITIAL_WINDOW_SIZE, 0), request(1), request(3))
  for (const asked of kept.requests) {
    asked.respond(OK)
    asked.write(Buffer.alloc(1_000))
  }
  kept.requests[0]?.end()
  await settle()
  pass(FRONT_LIMITS.bodySilenceMs - 1_000)
  await settle()
  expect(resetOf(1)).toBe(undefined)
  pass(FRONT_LIMITS.bodySilenceMs + 1_000)
  await settle()
  expect([resetOf(1), resetOf(3)]).toEqual([ErrorCode.CANCEL, undefined])
  expect(kept.heard.filter((each) => each === 'gone')).toHaveLength(1)
})

test('a client that asks whether to send its body is told so once somebody takes it, and only where it waits', async () => {
  const kept = keeper()
  const { send, heads } = await openHttp2(kept.handle)
  const asks = { ...upload, lines: [['expect', '100-continue']] as const }
  const said = (streamId: number) =>
    heads()
      .filter((head) => head.streamId === streamId)
      .map(({ fields, isEnd }) => `${fields[0]?.[1]}${isEnd ? ', the end' : ''}`)
  // Taken, not taken, refused without it, sent without waiting, and one that has no body at all.
  await send(...[1, 3, 5, 7].map((id) => request(id, asks)), request(9, { ...asks, isWhole: true }))
  await send(data(7, Buffer.from('b')))
  kept.requests[2]?.answer({ status: 413, headers: [] }, Buffer.alloc(0))
  for (const at of [0, 2, 3, 4]) kept.requests[at]?.listen(kept.listener)
  kept.requests[0]?.pause()
  kept.requests[0]?.resume()
  await settle()
  expect([1, 3, 5, 7, 9].map(said)).toEqual([['100'], [], ['413, the end'], [], []])
  await send(data(1, Buffer.from('a'), { isEnd: true }))
  kept.requests[0]?.respond(ofLength(0))
  await settle()
  expect(said(1)).toEqual(['100', '200, the end'])
})

test('any other expectation is refused', async () => {
  const { send, heads } = await openHttp2(() => expect.unreachable())
  await send(request(1, { ...upload, lines: [['expect', '200-ok']] }))
  expect(heads()[0]?.fields[0]).toEqual([':status', '417'])
})

test('a body that is waited for and does not come is answered with 408, and its handler hears that the client is gone', async () => {
  const { asked, send, pass, heads, body, heard, malformed, reset: resetOf } = await ask(upload)
  await send(request(3), data(1, Buffer.from('some')))
  pass(FRONT_LIMITS.bodySilenceMs - 1_000)
  asked.pause()
  pass(FRONT_LIMITS.bodySilenceMs + 1_000)
  expect(heads()).toEqual([])
  asked.resume()
  pass(FRONT_LIMITS.bodySilenceMs + 1_000)
  await settle()
  asked.answer({ status: 500, headers: [] }, Buffer.from('too late'))
  await settle()
  expect(heads().map(({ fields }) => fields[0]?.[1])).toEqual(['408'])
  expect(String(body(1))).toBe('the body of the request came too slowly')
  expect(malformed).toEqual(['the body of the request came too slowly'])
  expect(heard).toEqual(['end of body', 'some', 'gone'])
  await vi.waitFor(() => expect(resetOf(1)).toBe(ErrorCode.NO_ERROR))
})

test('a body that does not come behind the head of its answer breaks its stream alone', async () => {
  const { asked, send, pass, heard, reset: resetOf } = await ask(upload)
  await send(request(3))
  asked.respond(OK)
  pass(FRONT_LIMITS.bodySilenceMs + 1_000)
  await settle()
  expect([resetOf(1), resetOf(3)]).toEqual([ErrorCode.CANCEL, undefined])
  expect(heard).toEqual(['end of body', 'gone'])
})

test('a body that nobody takes, that is whole or that its answer did not wait for is not waited for', async () => {
  const kept = keeper()
  const { send, pass, heads } = await openHttp2(kept.handle)
  await send(request(1, upload), request(3, upload), request(5, upload))
  kept.requests[1]?.listen(kept.listener)
  await send(data(3, Buffer.alloc(0), { isEnd: true }))
  kept.requests[2]?.answer({ status: 401, headers: [] }, Buffer.alloc(0))
  pass(FRONT_LIMITS.bodySilenceMs + 1_000)
  await settle()
  expect(heads().map(({ streamId }) => streamId)).toEqual([5])
  expect(kept.heard).toEqual(['end of body'])
})

test('more than an answer said is not sent', async () => {
  const { asked, body, heard } = await ask()
  asked.respond(ofLength(2))
  asked.write(Buffer.from('abc'))
  await settle()
  expect(String(body(1))).toBe('ab')
  expect(heard).toEqual(['end of body', 'sent'])
})

test('nothing is said of a body before its head, and nothing is heard after an abort', async () => {
  const { asked, body, heard, frames } = await ask()
  asked.write(Buffer.from('early'))
  asked.end()
  await settle()
  expect(frames(FrameType.DATA)).toEqual([])
  asked.respond(ofLength(2))
  asked.write(Buffer.from('ab'))
  asked.abort()
  await settle()
  expect(String(body(1))).toBe('ab')
  expect(heard).toEqual(['end of body'])
})

test('a client that resets a request is gone once, whatever comes afterwards', async () => {
  for (const code of [ErrorCode.NO_ERROR, ErrorCode.CANCEL]) {
    const { asked, send, heard, frames } = await ask()
    asked.respond(OK)
    asked.write(Buffer.alloc(1 << 20))
    await send(reset(1, code), reset(1, code), credit(1, 1), data(1, Buffer.of(1)))
    asked.write(Buffer.of(1))
    asked.end()
    asked.abort()
    await settle()
    expect(heard).toEqual(['end of body', 'gone'])
    expect(asked.gone).toBe(true)
    expect(frames(FrameType.RST_STREAM).map(({ payload }) => payload[3])).toEqual([
      ErrorCode.STREAM_CLOSED,
    ])
  }
})

test('whoever listens to a request whose client is gone already hears that', async () => {
  const kept = keeper()
  const { send } = await openHttp2(kept.handle)
  await send(request(1), reset(1, ErrorCode.CANCEL))
  kept.requests[0]?.listen(kept.listener)
  expect(kept.heard).toEqual(['gone'])
})

test('an answer that closes ends the connection behind it', async () => {
  const { asked, goAway, state, body } = await ask()
  asked.answer({ status: 401, headers: [] }, Buffer.from('who?'), { close: true })
  await settle()
  expect([String(body(1)), goAway()?.code, state.ended]).toEqual(['who?', 0, true])
})

/** A client of nghttp2's, and a server that sends back what it gets, held up now and then. */
function nghttp2(chunks: readonly number[], windowBytes: number) {
  const { client, connection } = connectHttp2((asked) => echoBody(asked, chunks))
  const session = connect('http://demo.localhost', {
    createConnection: () => client.removeAllListeners('data'),
    settings: { initialWindowSize: windowBytes },
  })
  session.on('error', () => {})
  return { session, connection }
}

function echoBody(asked: FrontRequest, chunks: readonly number[]): void {
  const parts: Buffer[] = []
  let isDrained: () => void = () => {}
  async function answer(body: Buffer): Promise<void> {
    asked.respond(chunks.length % 2 === 0 ? ofLength(body.length) : OK)
    let at = 0
    for (let turn = 0; at < body.length; turn += 1) {
      const end = at + (chunks[turn % chunks.length] ?? 1)
      const drained = new Promise<void>((resolve) => {
        isDrained = resolve
      })
      if (!asked.write(body.subarray(at, end))) await drained
      at = end
    }
    asked.end()
  }
  asked.listen({
    onBody(chunk) {
      parts.push(Buffer.from(chunk))
      if (parts.length % 3 !== 0) return
      asked.pause()
      setImmediate(() => asked.resume())
    },
    onBodyEnd: () => void answer(Buffer.concat(parts)),
    onAnswerDrain: () => isDrained(),
    onSent() {},
    onGone() {},
  })
}

async function echoed(session: ClientHttp2Session, body: string): Promise<string> {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/api',
    'content-length': body.length,
  })
  stream.end(body)
  const [[headers], came] = await Promise.all([once(stream, 'response'), text(stream)])
  expect(headers[':status']).toBe(200)
  return came
}

test('whatever is sent by nghttp2, in whatever pieces and windows, comes back whole, many at a time', async () => {
  const size = fc.oneof(fc.nat(100), fc.nat(100_000), fc.nat(600_000))
  const chunk = fc.integer({ min: 1_000, max: 300_000 })
  await fc.assert(
    fc.asyncProperty(
      fc.array(size, { minLength: 1, maxLength: 5 }),
      fc.array(chunk, { minLength: 1, maxLength: 4 }),
      fc.constantFrom(1_000, 65_535, 1 << 20),
      async (sizes, chunks, windowBytes) => {
        const { session, connection } = nghttp2(chunks, windowBytes)
        const bodies = sizes.map((bytes, at) => String(at).repeat(bytes))
        const came = await Promise.race([
          Promise.all(bodies.map((body) => echoed(session, body))),
          wait(20_000).then(() => 'nothing came'),
        ])
        expect(came).toEqual(bodies)
        session.destroy()
        connection.destroy()
      },
    ),
    { seed: Date.now() & 0x7fffffff, numRuns: 40 },
  )
}, 60_000)
