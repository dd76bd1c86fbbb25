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
import { afterEach, expect, test } from 'vitest'
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
let stream: ServerHttp2Stream
let exchange: Http2Exchange
const said: string[] = []

/** A request that is listened to. */
async function ask(method: 'GET' | 'HEAD' | 'POST', { endBody = true } = {}): Promise<void> {
  const wire = createWire()
  server = performServerHandshake(wire.server)
  client = connect('http://demo.localhost', { createConnection: () => wire.client })
  for (const session of [server, client]) session.on('error', () => {})
  const hasBody = method === 'POST'
  asked = client.request({ ':method': method, ':path': '/api' }, { endStream: !hasBody })
  asked.on('error', () => {})
  if (hasBody && endBody) asked.end('body')
  const [opened]: ServerHttp2Stream[] = await once(server, 'stream')
  if (opened === undefined) throw new Error('nothing was asked')
  stream = opened
  exchange = new Http2Exchange(HEAD, stream, { hasBody })
  said.length = 0
  exchange.listen({
    onBody() {},
    onBodyEnd: () => void said.push('end of body'),
    onAnswerDrain() {},
    onSent: () => void said.push('sent'),
    onGone: () => void said.push('gone'),
  })
  const heard = endBody ? ['end of body'] : []
  await expect.poll(() => said.splice(0)).toEqual(heard)
}

async function respond(status: number): Promise<void> {
  exchange.respond({ status, headers: [] })
  await once(asked, 'response')
  await settle()
}

afterEach(() => {
  client.destroy()
  server.destroy()
})

test.each(['GET', 'POST'] as const)(
  'the answer to a %s whose client has all of it is sent, also where the connection still writes',
  async (method) => {
    await ask(method)
    await respond(200)
    exchange.write(Buffer.from(ANSWER))
    exchange.end()
    const chunks = await asked.toArray()
    expect(String(Buffer.concat(chunks))).toBe(ANSWER)
    await expect.poll(() => said).toEqual(['sent'])
  },
)

test.each([
  { what: 'to HEAD', method: 'HEAD', status: 200 },
  { what: 'that nothing was modified', method: 'GET', status: 304 },
  { what: 'without content', method: 'POST', status: 204 },
] as const)(
  'an answer $what is sent with its head, before it was ended here',
  async ({ method, status }) => {
    await ask(method)
    await respond(status)
    await expect.poll(() => said).toEqual(['sent'])
    exchange.end()
    await settle()
    expect(said).toEqual(['sent'])
  },
)

test.each(
  (['GET', 'POST'] as const).flatMap((method) => [
    { method, how: 'without an error', code: constants.NGHTTP2_NO_ERROR },
    { method, how: 'because it wants no more', code: constants.NGHTTP2_CANCEL },
  ]),
)(
  'a client that resets a $method $how before the answer has ended is gone',
  async ({ method, code }) => {
    await ask(method)
    await respond(200)
    exchange.write(Buffer.from('half of it'))
    await once(asked, 'data')
    asked.close(code)
    await expect.poll(() => said).toEqual(['gone'])
    await expect.poll(() => stream.destroyed).toBe(true)
  },
)

test('a client that resets a request without an error while its body is held up is gone', async () => {
  await ask('POST', { endBody: false })
  exchange.pause()
  asked.write('more of the body')
  await settle()
  asked.close(constants.NGHTTP2_NO_ERROR)
  await expect.poll(() => said).toEqual(['gone'])
})

test('a stream that is reset without an error while its answer waits holds nothing any more', async () => {
  await ask('GET')
  await respond(200)
  exchange.write(Buffer.alloc(1 << 20))
  exchange.end()
  await settle()
  asked.close(constants.NGHTTP2_NO_ERROR)
  await expect.poll(() => stream.destroyed).toBe(true)
  expect(said).toHaveLength(1)
})

test.each(['GET', 'POST'] as const)(
  'the answer to a %s that waits when its connection is ended is not sent',
  async (method) => {
    await ask(method)
    await respond(200)
    exchange.write(Buffer.alloc(1 << 20))
    exchange.end()
    await settle()
    server.destroy()
    await expect.poll(() => said).toEqual(['gone'])
  },
)

test('whoever waits for more of an answer to be taken does not end a request that has no body', async () => {
  await ask('GET')
  exchange.pause()
  exchange.resume()
  await settle()
  expect(said).toEqual([])
  await respond(200)
  exchange.write(Buffer.from(ANSWER))
  exchange.end()
  await expect.poll(() => said).toEqual(['sent'])
})
