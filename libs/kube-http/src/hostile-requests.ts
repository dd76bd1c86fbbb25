import { createServer, type IncomingMessage } from 'node:http'
import { Duplex } from 'node:stream'
import fc from 'fast-check'

/** One request as a reader understood it: what stands first in its head, its lines, its body. */
export type UnderstoodRequest = { start: string; headers: string[]; body: string }
/** The body may have been cut short, by its end or by what is wrong with it. */
type HeardRequest = UnderstoodRequest & { isWhole: boolean }

/** Node's own parser, to compare with. */
export function createLlhttp() {
  const server = createServer({ maxHeaderSize: 1 << 20, requireHostHeader: false })
  let heard: { message: IncomingMessage; chunks: Buffer[] }[] = []
  const hear = (message: IncomingMessage) => {
    const chunks: Buffer[] = []
    heard.push({ message, chunks })
    message.on('data', (chunk: Buffer) => chunks.push(chunk))
    message.on('error', () => {})
  }
  server.on('request', hear).on('connect', hear).on('upgrade', hear)
  server.on('clientError', (_error, socket) => socket.destroy())
  return {
    /** What it understands, up to what it refuses. */
    async read(bytes: Buffer): Promise<HeardRequest[]> {
      heard = []
      const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
      socket.on('error', () => {})
      server.emit('connection', socket)
      socket.push(bytes)
      for (let turns = 0; turns < 4; turns += 1) {
        await new Promise((resolve) => setImmediate(resolve))
      }
      const requests = heard.map(({ message, chunks }) => ({
        isWhole: message.complete,
        start: `${message.method} ${message.url}`,
        headers: message.rawHeaders,
        body: Buffer.concat(chunks).toString('latin1'),
      }))
      socket.destroy()
      return requests
    },
    close: () => void server.close(),
  }
}

const STARTS = ['GET /api HTTP/1.1', 'POST /a?b=c HTTP/1.1', 'PUT /a HTTP/1.1', 'HEAD / HTTP/1.1']
const LINES = [
  'Host: h',
  'Content-Length: 5',
  'Content-Length: 0',
  'Content-Length: 05',
  'Content-Length: 5, 5',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: CHUNKED',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding : chunked',
  'Content_Length: 9',
  'Connection: close',
  'Connection: Content-Length, Transfer-Encoding',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Expect: 100-continue',
  'X-A: b',
  'X-A:',
  ' folded: 1',
  'x"y: 1',
]
const BODIES = [
  '',
  'hello',
  '0\r\n\r\n',
  '5\r\nhello\r\n0\r\n\r\n',
  '5;a=b\r\nhello\r\n0;c="d"\r\nX-T: 1\r\n\r\n',
  '5 ;a\r\nhello\r\n0\r\n\r\n',
  '0x5\r\nhello\r\n0\r\n\r\n',
  '5\nhello\n0\n\n',
  '0\r\nContent-Length: 3\r\n\r\nabc',
]
const SPECKS = [
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  '\0',
  ':',
  ',',
  ';',
  '\x0b',
  '\x7f',
  '\x80',
  '0',
  'a',
]

const request = fc
  .record({
    start: fc.constantFrom(...STARTS),
    lines: fc.array(fc.constantFrom(...LINES), { maxLength: 3 }),
    host: fc.boolean(),
    body: fc.constantFrom(...BODIES),
  })
  .map(({ start, lines, host, body }) =>
    [start, ...(host ? ['Host: h'] : []), ...lines, '', body].join('\r\n'),
  )
/** Whole requests in a row, most with something small put in, taken out or doubled. */
export const hostileRequests: fc.Arbitrary<string> = fc
  .record({
    text: fc.array(request, { minLength: 1, maxLength: 3 }).map((all) => all.join('')),
    changes: fc.array(
      fc.record({
        at: fc.double({ min: 0, max: 1, noNaN: true }),
        remove: fc.nat(2),
        insert: fc.oneof(fc.constant(''), fc.constantFrom(...SPECKS), fc.constantFrom(...LINES)),
      }),
      { maxLength: 2 },
    ),
  })
  .map(({ text, changes }) =>
    changes.reduce((all, { at, remove, insert }) => {
      const index = Math.floor(at * all.length)
      return all.slice(0, index) + insert + all.slice(index + remove)
    }, text),
  )
