import { once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { Duplex } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { clientLines } from './client-lines.ts'
import { Http2Exchange } from './http2-exchange.ts'
import { settle } from './testing.ts'

const HEAD = {
  protocol: 'h2',
  method: 'GET',
  target: '/api',
  authority: 'demo.localhost',
  serverName: 'demo.localhost',
  lines: clientLines([], { remoteAddress: '10.0.0.1', memory: {} }),
  upgrade: undefined,
  memory: {},
} as const

const ANSWER = 'all of it'

/** A wire that brings the answer to the client, and never says to the server that it is written. */
function createWire() {
  const [client, server]: Duplex[] = [0, 1].map(
    (end) =>
      new Duplex({
        read() {},
        write(chunk: Buffer, _encoding, done) {
          ;(end === 0 ? server : client)?.push(chunk)
          if (!chunk.includes(ANSWER)) done()
        },
      }),
  )
  if (client === undefined || server === undefined) throw new Error('there is no wire')
  return { client, server }
}

let server: ServerHttp2Session
let client: ClientHttp2Session
let asked: ClientHttp2Stream
let exchange: Http2Exchange
const said: string[] = []

beforeEach(async () => {
  const wire = createWire()
  server = performServerHandshake(wire.server)
  client = connect('http://demo.localhost', { createConnection: () => wire.client })
  for (const session of [server, client]) session.on('error', () => {})
  asked = client.request({ ':path': '/api' })
  asked.on('error', () => {})
  const [stream]: ServerHttp2Stream[] = await once(server, 'stream')
  if (stream === undefined) throw new Error('nothing was asked')
  exchange = new Http2Exchange(HEAD, stream)
  said.length = 0
  exchange.listen({
    onBody() {},
    onBodyEnd() {},
    onAnswerDrain() {},
    onSent: () => void said.push('sent'),
    onGone: () => void said.push('gone'),
  })
  exchange.respond({ status: 200, headers: [] })
  await once(asked, 'response')
  await settle()
})

afterEach(() => {
  client.destroy()
  server.destroy()
})

test('an answer whose client has all of it is sent, also where the connection still writes', async () => {
  exchange.write(Buffer.from(ANSWER))
  exchange.end()
  const chunks = await asked.toArray()
  expect(String(Buffer.concat(chunks))).toBe(ANSWER)
  await expect.poll(() => said).toEqual(['sent'])
})

test.each([
  { how: 'without an error', code: constants.NGHTTP2_NO_ERROR },
  { how: 'because it wants no more', code: constants.NGHTTP2_CANCEL },
])('a client that resets a stream $how before the answer has ended is gone', async ({ code }) => {
  exchange.write(Buffer.from('half of it'))
  await once(asked, 'data')
  asked.close(code)
  await expect.poll(() => said).toEqual(['gone'])
})

test('an answer that waits when its connection is ended is not sent', async () => {
  exchange.write(Buffer.alloc(1 << 20))
  exchange.end()
  await settle()
  server.destroy()
  await expect.poll(() => said).toEqual(['gone'])
})
