import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ResponseHead, UpgradeProtocol } from './head.ts'
import { HttpSyntaxError } from './response-head.ts'
import { createResponseReader } from './response-reader.ts'

type Result = {
  head: ResponseHead | undefined
  body: string
  end: 'reusable' | 'closes' | undefined
  switched: string
  error: string | undefined
}

type How = { method?: string; upgrade?: UpgradeProtocol | undefined; closed?: boolean }

function readAll(
  parts: readonly Buffer[],
  { method = 'GET', upgrade, closed = false }: How = {},
): Result {
  const result: Result = {
    head: undefined,
    body: '',
    end: undefined,
    switched: '',
    error: undefined,
  }
  const reader = createResponseReader(
    { method, headBytesMax: 4096, ...(upgrade === undefined ? {} : { upgrade }) },
    {
      onHead(head) {
        expect(result.head).toBeUndefined()
        result.head = head
      },
      onBody(chunk) {
        expect(result.head).toBeDefined()
        expect(result.end).toBeUndefined()
        result.body += chunk.toString('latin1')
      },
      onEnd(reusable) {
        expect(result.end).toBeUndefined()
        result.end = reusable ? 'reusable' : 'closes'
      },
      onSwitched(bytes) {
        result.switched += bytes.toString('latin1')
      },
    },
  )
  try {
    for (const part of parts) reader.push(part)
    if (closed) reader.close()
  } catch (error) {
    if (!(error instanceof HttpSyntaxError)) throw error
    result.error = error.message
  }
  return result
}

const read = (text: string, how?: How) => readAll([Buffer.from(text, 'latin1')], how)

const RESPONSES: [name: string, text: string, how?: How][] = [
  ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
  ['an empty body', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'],
  [
    'chunks',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n',
  ],
  [
    'trailers',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-A: b\r\nX-B: c\r\n\r\n',
  ],
  [
    'interim heads',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
  ],
  ['no body to HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', { method: 'HEAD' }],
  ['no body in 304', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n'],
  ['until close', 'HTTP/1.1 200 OK\r\n\r\nhello', { closed: true }],
  ['close', 'HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 1\r\n\r\nx'],
  [
    'a switch',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x82\x00raw',
    { upgrade: 'websocket' },
  ],
]

test.each(RESPONSES)('%s is read the same wherever it is cut', (_, text, how) => {
  const bytes = Buffer.from(text, 'latin1')
  const whole = readAll([bytes], how)
  expect(whole.error).toBeUndefined()
  for (let at = 0; at <= bytes.length; at += 1) {
    expect(readAll([bytes.subarray(0, at), bytes.subarray(at)], how)).toEqual(whole)
  }
  const single = [...bytes].map((byte) => Buffer.of(byte))
  expect(readAll(single, how)).toEqual(whole)
})

test('what comes in is what was said', () => {
  expect(read(RESPONSES[2]?.[1] ?? '')).toMatchObject({ body: 'hello!', end: 'reusable' })
  expect(read(RESPONSES[3]?.[1] ?? '').head).toEqual({ status: 200, headers: [] })
  expect(read(RESPONSES[4]?.[1] ?? '')).toMatchObject({ head: { status: 204 }, end: 'reusable' })
  expect(read(RESPONSES[8]?.[1] ?? '')).toMatchObject({ end: 'closes' })
  expect(read('HTTP/1.1 200 OK\r\n\r\nx', { closed: true })).toMatchObject({
    body: 'x',
    end: 'closes',
  })
  expect(read(RESPONSES[9]?.[1] ?? '', { upgrade: 'websocket' })).toMatchObject({
    switched: '\x82\x00raw',
    end: undefined,
  })
})

test.each([
  ['both framings', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['two equal lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n'],
  ['lengths in a list', 'HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n'],
  ['a signed length', 'HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n'],
  ['another encoding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'],
  ['a bare line feed', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n'],
  ['a folded header', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n'],
  ['a space before the colon', 'HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx'],
  ['a line without a colon', 'HTTP/1.1 200 OK\r\nnonsense\r\n\r\n'],
  ['a null byte', 'HTTP/1.1 200 OK\r\nA: \0\r\n\r\n'],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\n'],
  ['nonsense', 'SSH-2.0\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a switch that nobody asked for', 'HTTP/1.1 101 X\r\n\r\n'],
  ['a bad chunk size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\n'],
  ['a negative chunk size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n'],
  ['a huge chunk size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffff\r\n'],
  [
    'a chunk longer than it says',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n',
  ],
  [
    'an identity in a malformed trailer',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n: x\r\n',
  ],
  ['a head without end', `HTTP/1.1 200 OK\r\nA: ${'x'.repeat(5000)}`],
  [
    'a chunk line without end',
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(2000)}`,
  ],
  ['interim heads without end', 'HTTP/1.1 100 C\r\n\r\n'.repeat(9)],
  ['bytes behind the end', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab'],
])('%s is a broken protocol', (_, text) => {
  expect(read(text).error).toBeDefined()
})

test.each([
  ['to another protocol', 'Upgrade: SPDY/3.1\r\n'],
  ['to two protocols', 'Upgrade: websocket\r\nUpgrade: websocket\r\n'],
  ['to none', ''],
])('a switch %s than was asked for is a broken protocol', (_, lines) => {
  const answer = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n${lines}\r\n`
  expect(read(answer, { upgrade: 'websocket' }).error).toBeDefined()
})

test('what was said to the next hop goes no further, and neither does what only an agent says', () => {
  const lines = ['Connection: keep-alive', 'Keep-Alive: 5', 'Postern-Agent-Error: no-token']
  const answer = ['HTTP/1.1 200 OK', ...lines, 'Vary: a', 'Content-Length: 0', '\r\n'].join('\r\n')
  expect(read(answer).head?.headers).toEqual([
    ['Vary', 'a'],
    ['Content-Length', '0'],
  ])
})

test.each([
  ['in the head', 'HTTP/1.1 200 OK\r\n'],
  ['in a body of known length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell'],
  ['in a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe'],
  ['before the last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
])('a connection that ends %s was no complete response', (_, text) => {
  const result = read(text, { closed: true })
  expect(result.error).toBeDefined()
  expect(result.end).toBeUndefined()
})

test('whatever bytes come, however cut, they end in a response or a HttpSyntaxError', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'HTTP/1.1 200 OK\r\n',
      '\r\n',
      '\r\n\r\n',
      'Content-Length: ',
      '5',
      '0\r\n\r\n',
      ':',
    ),
    fc.constantFrom(
      'Transfer-Encoding: chunked\r\n',
      'a\r\n',
      'HTTP/1.1 101 x\r\nUpgrade: websocket\r\n',
      'Connection: close\r\n',
    ),
    fc.string({ unit: 'binary', maxLength: 5 }),
  )
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 12 }),
      fc.nat(),
      fc.boolean(),
      (pieces, at, upgrade) => {
        const bytes = Buffer.from(pieces.join(''), 'latin1')
        const cut = bytes.length === 0 ? 0 : at % bytes.length
        const how: How = { upgrade: upgrade ? 'websocket' : undefined, closed: true }
        const whole = readAll([bytes], how)
        const again = readAll([bytes.subarray(0, cut), bytes.subarray(cut)], how)
        expect({ ...again, error: again.error !== undefined }).toEqual({
          ...whole,
          error: whole.error !== undefined,
        })
      },
    ),
    { numRuns: 5_000 },
  )
})
