import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type IncomingHead, parseRequestHead, REQUEST_HEAD_BYTES_MAX } from './request-head.ts'
import { RequestReader } from './request-reader.ts'

type Read = { head: IncomingHead; body: string; whole: boolean }

/** Everything that can be read of what a client sends on one connection. */
function readAll(parts: readonly Buffer[], budget = { bytesLeft: 1 << 24 }) {
  const requests: Read[] = []
  const current = (): Read => {
    const request = requests.at(-1)
    if (request === undefined) throw new Error('a body without a head')
    return request
  }
  const reader = new RequestReader((part) => {
    current().body += part.toString('latin1')
  }, budget)
  for (const part of parts) {
    let rest = part
    while (rest.length > 0 && reader.state !== 'over') {
      const before = reader.head
      rest = reader.push(rest)
      if (reader.head !== undefined && reader.head !== before) {
        requests.push({ head: reader.head, body: '', whole: false })
      }
      if (reader.state === 'done') {
        current().whole = true
        reader.next()
      }
    }
  }
  return { requests, refusal: reader.refusal, state: reader.state, close: () => reader.close() }
}

const read = (text: string) => readAll([Buffer.from(text, 'latin1')])
const GET = 'GET /api HTTP/1.1\r\nHost: h\r\n'
const POST = 'POST /api HTTP/1.1\r\nHost: h\r\n'

test('a head is read with its lines in their order, names as written and values without the space around them', () => {
  const { requests, refusal } = read(
    'GET /api/v1/pods?limit=5 HTTP/1.1\r\nHOST: Demo.localhost\r\nX-A: \t one two \t\r\nx-a:\r\nX-B: a:b\xff\r\n\r\n',
  )
  expect(refusal).toBeUndefined()
  expect(requests.map(({ head }) => head)).toEqual([
    {
      method: 'GET',
      target: '/api/v1/pods?limit=5',
      upgrade: undefined,
      lines: {
        text: 'HOST: Demo.localhost\r\nX-A: \t one two \t\r\nx-a:\r\nX-B: a:b\xff\r\n',
        headers: [
          ['HOST', 'Demo.localhost'],
          ['X-A', 'one two'],
          ['x-a', ''],
          ['X-B', 'a:b\xff'],
        ],
        host: 'Demo.localhost',
        bodyBytes: 0,
        closes: false,
        expectsContinue: false,
        speaksOfUpgrade: false,
      },
    },
  ])
})

test('lines that are those of the request before are the same object, and any others are read anew', () => {
  const lines = 'Host: h\r\nAuthorization: Bearer a\r\n'
  const heads = read(
    `GET /a HTTP/1.1\r\n${lines}\r\nHEAD /b HTTP/1.1\r\n${lines}\r\nGET /b HTTP/1.1\r\n${lines.replace('a\r\n', 'b\r\n')}\r\n`,
  ).requests.map(({ head }) => head)
  expect(heads.map(({ method, target }) => `${method} ${target}`)).toEqual([
    'GET /a',
    'HEAD /b',
    'GET /b',
  ])
  expect(heads[1]?.lines).toBe(heads[0]?.lines)
  expect(heads[2]?.lines.headers).toEqual([
    ['Host', 'h'],
    ['Authorization', 'Bearer b'],
  ])
})

test('an upgrade is one of its method, also where the lines are those of the request before', () => {
  const lines = 'Host: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
  const websocket = parseRequestHead(Buffer.from(`GET / HTTP/1.1\r\n${lines}\r\n`))
  if ('problem' in websocket) throw new Error(websocket.problem)
  expect(websocket.upgrade).toBe('websocket')
  const post = Buffer.from(`POST / HTTP/1.1\r\n${lines}\r\n`)
  expect(parseRequestHead(post, websocket.lines)).toMatchObject({ status: 400 })
})

test.each([
  { what: 'no body', text: `${GET}\r\n`, bodies: [''] },
  { what: 'a length', text: `${POST}Content-Length: 5\r\n\r\nhello`, bodies: ['hello'] },
  { what: 'a length of nothing', text: `${POST}Content-Length: 0\r\n\r\n`, bodies: [''] },
  {
    what: 'chunks with extensions and trailers, which are dropped',
    text: `${POST}Transfer-Encoding: Chunked\r\n\r\n5;a;b=c;d="e f"\r\nhello\r\nA\r\n0123456789\r\n0;last\r\nX-T: v\r\n\r\n`,
    bodies: ['hello0123456789'],
  },
  {
    what: 'three requests in one write',
    text: `${POST}Content-Length: 2\r\n\r\n{}${GET}\r\n${POST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    bodies: ['{}', '', ''],
  },
])('$what is read, however the bytes are cut', ({ text, bodies }) => {
  const bytes = Buffer.from(text, 'latin1')
  const whole = readAll([bytes])
  expect(whole).toMatchObject({ refusal: undefined, state: 'idle' })
  expect(whole.requests.map(({ body }) => body)).toEqual(bodies)
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    expect(readAll([bytes.subarray(0, cut), bytes.subarray(cut)]).requests).toEqual(whole.requests)
  }
  expect(readAll([...bytes].map((byte) => Buffer.of(byte))).requests).toEqual(whole.requests)
})

test('the client says that it sends no more, and that it waits for 100', () => {
  const headOf = (lines: string) => read(`${POST}${lines}\r\n`).requests[0]?.head.lines
  expect(headOf('Connection: keep-alive, Close\r\n')?.closes).toBe(true)
  expect(headOf('Connection: x\r\nConnection: close\r\n')?.closes).toBe(true)
  expect(headOf('Connection: closed, x-close\r\n')?.closes).toBe(false)
  expect(headOf('Expect: 100-Continue\r\nContent-Length: 1\r\n')?.expectsContinue).toBe(true)
})

const refusals: readonly [what: string, text: string, status?: number][] = [
  ['an empty line before the request', `\r\n${GET}\r\n`],
  ['two spaces in the request line', 'GET  /api HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['a tab in the request line', 'GET\t/api HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['a space behind the version', 'GET /api HTTP/1.1 \r\nHost: h\r\n\r\n'],
  ['HTTP/0.9', 'GET /api\r\n\r\n'],
  ['HTTP/1.0', 'GET /api HTTP/1.0\r\nHost: h\r\n\r\n', 505],
  ['HTTP/2.0', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
  ['a version in lower case', 'GET /api http/1.1\r\nHost: h\r\n\r\n'],
  ['an unknown method', 'BREW /api HTTP/1.1\r\nHost: h\r\n\r\n', 405],
  ['a method in lower case', 'get /api HTTP/1.1\r\nHost: h\r\n\r\n', 405],
  ['CONNECT', 'CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n', 405],
  ['absolute form', 'GET http://h/api HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['asterisk form', 'OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['a byte above ASCII in the target', 'GET /\xe4 HTTP/1.1\r\nHost: h\r\n\r\n'],
  ['no Host', 'GET /api HTTP/1.1\r\n\r\n'],
  ['an empty Host', 'GET /api HTTP/1.1\r\nHost:\r\n\r\n'],
  ['two Hosts', `${GET}host: h\r\n\r\n`],
  ['a space before the colon', `${GET}X-A : 1\r\n\r\n`],
  ['a line without a name', `${GET}: 1\r\n\r\n`],
  ['a line without a colon', `${GET}X-A\r\n\r\n`],
  ['a line that goes on in the next', `${GET}X-A: 1\r\n 2\r\n\r\n`],
  ['a bare LF', `${GET}X-A: 1\nX-B: 2\r\n\r\n`],
  ['a bare CR', `${GET}X-A: 1\rX-B: 2\r\n\r\n`],
  ['a head that ends in two LF', `${GET.slice(0, -2)}\n\n\r\n\r\n`],
  ['NUL in a value', `${GET}X-A: 1\0\r\n\r\n`],
  ['DEL in a value', `${GET}X-A: 1\x7f\r\n\r\n`],
  ['a control character in a name', `${GET}X\x0b: 1\r\n\r\n`],
  ['two content lengths', `${POST}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`],
  ['a list of content lengths', `${POST}Content-Length: 2, 2\r\n\r\n{}`],
  ['a signed content length', `${POST}Content-Length: +2\r\n\r\n{}`],
  ['a negative content length', `${POST}Content-Length: -2\r\n\r\n{}`],
  ['a content length in hex', `${POST}Content-Length: 0x2\r\n\r\n{}`],
  ['an empty content length', `${POST}Content-Length:\r\n\r\n{}`],
  ['a content length that no number holds', `${POST}Content-Length: 9999999999999999\r\n\r\n{}`],
  ['length and chunks', `${POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['chunks and length', `${POST}Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n`],
  ['two transfer encodings', `${POST}${'Transfer-Encoding: chunked\r\n'.repeat(2)}\r\n0\r\n\r\n`],
  ['another transfer encoding', `${POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
  ['an empty transfer encoding', `${POST}Transfer-Encoding:\r\n\r\n0\r\n\r\n`],
  ['another expectation', `${POST}Expect: 200-ok\r\n\r\n`, 417],
  ['an upgrade to h2c', `${GET}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n`],
  ['a hidden upgrade', `${GET}Connection: x-notupgrade\r\nUpgrade: websocket\r\n\r\n`],
  [
    'an upgrade with a body',
    `${GET}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\na`,
  ],
  ['too many headers', `${GET}${'a: 1\r\n'.repeat(1_000)}\r\n`, 431],
]

test.each(refusals)('%s is refused, and nothing behind it is read', (_what, text, status = 400) => {
  const { requests, refusal } = read(`${text}${GET}\r\n`)
  expect(refusal?.status).toBe(status)
  expect(requests).toEqual([])
})

test.each([
  ['no size', '\r\n\r\n'],
  ['a size that is no number', 'zz\r\n\r\n'],
  ['a size with a sign', '+1\r\na\r\n0\r\n\r\n'],
  ['a size in C', '0x1\r\na\r\n0\r\n\r\n'],
  ['a size that no number holds', `${'f'.repeat(13)}\r\n`],
  ['a space behind the size', '1 \r\na\r\n0\r\n\r\n'],
  ['a size that ends in LF', '1\na\r\n0\r\n\r\n'],
  ['a size that ends in CR', '1\ra\r\n0\r\n\r\n'],
  ['CR in an extension', '1;a\rb\r\na\r\n0\r\n\r\n'],
  ['LF in a quoted extension', '1;a="\n"\r\na\r\n0\r\n\r\n'],
  ['a chunk longer than its size', '1\r\nab\r\n0\r\n\r\n'],
  ['a chunk that ends in LF', '1\r\na\n0\r\n\r\n'],
  ['an end with LF only', '0\r\n\n'],
  ['a trailer without a colon', '0\r\nabc\r\n\r\n'],
  ['a trailer that goes on', '0\r\na: b\r\n c\r\n\r\n'],
  ['a trailer that frames', '0\r\nContent-Length: 5\r\n\r\n'],
  ['a mebibyte of extensions', `1;${'a'.repeat(4_000)}\r\na\r\n`.repeat(300)],
  ['a mebibyte of trailers', `0\r\n${`a: ${'b'.repeat(1_000)}\r\n`.repeat(1_000)}\r\n`],
  ['a line without an end', 'a'.repeat(10_000)],
])('%s in a chunked body is refused, and the request never whole', (_what, body) => {
  const { requests, refusal } = read(`${POST}Transfer-Encoding: chunked\r\n\r\n${body}`)
  expect(refusal?.status).toBe(400)
  expect(requests.map(({ whole }) => whole)).toEqual([false])
})

test('a head of a mebibyte is read and a longer one refused, also when it drips in', () => {
  const headOf = (bytes: number) => {
    const frame = `${GET}X-A: \r\n\r\n`
    return Buffer.from(frame.replace('X-A: ', `X-A: ${'a'.repeat(bytes - frame.length)}`))
  }
  const largest = headOf(REQUEST_HEAD_BYTES_MAX)
  expect(readAll([largest])).toMatchObject({ refusal: undefined, state: 'idle' })
  expect(readAll(piecesOf(largest, 100)).requests).toHaveLength(1)
  const tooLarge = headOf(REQUEST_HEAD_BYTES_MAX + 1)
  expect(readAll([tooLarge]).refusal?.status).toBe(431)
  expect(readAll(piecesOf(tooLarge, 1_000)).refusal?.status).toBe(431)
  // It does not have to come to its end to be refused.
  expect(readAll(piecesOf(Buffer.alloc(2 * REQUEST_HEAD_BYTES_MAX, 'a'), 16_384)).refusal).toEqual({
    status: 431,
    problem: 'the headers are too large',
  })
})

test('unfinished heads together hold no more than their budget, and give it back', () => {
  const budget = { bytesLeft: 200 * 1024 }
  const unfinished = piecesOf(Buffer.from(`${GET}X-A: ${'a'.repeat(100_000)}`), 16_384)
  const first = readAll(unfinished, budget)
  expect(first.state).toBe('head')
  const second = readAll(unfinished, budget)
  expect(second.refusal?.status).toBe(503)
  expect(budget.bytesLeft).toBeGreaterThanOrEqual(0)
  first.close()
  expect(budget.bytesLeft).toBe(200 * 1024)
})

test('whatever bytes come, however cut, they are read or refused, and nothing throws or grows', () => {
  const part = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc
      .constantFrom(GET, POST, '\r\n', '\n', 'Transfer-Encoding: chunked\r\n\r\n', '5\r\n', '0\r\n')
      .map((text) => Buffer.from(text)),
  )
  const seed = Date.now() & 0x7fffffff
  fc.assert(
    fc.property(fc.array(part, { maxLength: 30 }), (parts) => {
      const budget = { bytesLeft: 1 << 20 }
      const result = readAll(parts, budget)
      result.close()
      expect(budget.bytesLeft).toBe(1 << 20)
      const together = readAll([Buffer.concat(parts)])
      expect(together.requests).toEqual(result.requests)
      expect(together.refusal).toEqual(result.refusal)
    }),
    { seed, numRuns: 5_000 },
  )
})

function piecesOf(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size))
  return pieces
}
