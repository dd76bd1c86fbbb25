import { once } from 'node:events'
import {
  constants,
  createSecureServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { createSecureContext, createServer, type TLSSocket } from 'node:tls'
import { decodeResponseHead, type OutgoingRequest, prepareLines } from '@postern/kube-http'
import { createTestAuthority } from '@postern/pki/testing'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import type { ExchangeReceiver } from '../src/upstream/exchange.ts'
import { createWatchSessions } from '../src/upstream/watch-sessions.ts'
import { type DataPath, startDataPath, text } from './gateway-side.ts'

const WATCH = { target: '/api/v1/pods?watch=true' }
const NOBODY: ExchangeReceiver = {
  onReady() {},
  onResponse() {},
  onResponseBytes() {},
  onResponseEnd() {},
  onRequestDrain() {},
  onFailure() {},
}
const WAIT = { timeout: 60_000, interval: 10 }

/** Takes the place of a kube-apiserver that speaks HTTP/2. */
async function startServer() {
  const authority = await createTestAuthority()
  const { cert, key } = await authority.material('service/apiserver', { dnsNames: ['localhost'] })
  const streams: { stream: ServerHttp2Stream; path: string; headers: Record<string, unknown> }[] =
    []
  const sessions: ServerHttp2Session[] = []
  const overHttp1: string[] = []
  const server: Http2Server = createSecureServer({ cert, key, allowHTTP1: true })
  server.on('session', (session) => {
    sessions.push(session)
    session.on('error', () => {})
  })
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    streams.push({ stream, path: headers[':path'] ?? '', headers })
  })
  server.on('request', (request, response) => {
    if (request.httpVersion === '2.0') return
    overHttp1.push(request.url)
    response.end('one')
  })
  server.listen(0, 'localhost')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const secureContext = createSecureContext({ ca: authority.ca })
  return {
    to: { host: 'localhost', port, secureContext },
    streams,
    sessions,
    overHttp1,
    async stream(index = 0) {
      await vi.waitFor(() => expect(streams.length).toBeGreaterThan(index), WAIT)
      const found = streams[index]
      if (found === undefined) throw new Error('there is no such stream')
      return found
    },
    close() {
      for (const session of sessions) session.destroy()
      server.close()
    },
  }
}

let server: Awaited<ReturnType<typeof startServer>>
let path: DataPath

beforeEach(async () => {
  server = await startServer()
  path = startDataPath(server.to)
})

afterEach(async () => {
  await path.close()
  server.close()
})

function watch() {
  const { head, body } = path.request({ ...WATCH, headers: [['Accept', 'application/json']] })
  body.on('error', () => {})
  body.end()
  return { head, body }
}

test('a watch goes over HTTP/2 under the account, a list does not', async () => {
  const { head, body } = watch()
  const { stream, path: target, headers } = await server.stream()
  stream.respond({ ':status': 200, 'content-type': 'application/json', warning: '299 - "old"' })
  const answered = decodeResponseHead(await head)
  expect(answered.status).toBe(200)
  expect(answered.headers).toEqual(
    expect.arrayContaining([
      ['content-type', 'application/json'],
      ['warning', '299 - "old"'],
    ]),
  )
  expect(target).toBe(WATCH.target)
  expect(headers).toMatchObject({
    authorization: 'Bearer jit-token',
    accept: 'application/json',
    'audit-id': 'audit-1',
    ':authority': `localhost:${server.to.port}`,
  })
  stream.end('{}')
  expect(await text(body)).toBe('{}')
  expect((await path.answer({ target: '/api/v1/pods?watch=false' })).body).toBe('one')
  expect(server.overHttp1).toEqual(['/api/v1/pods?watch=false'])
})

test('the head of a watch is there before its first event', async () => {
  const { head } = watch()
  const { stream } = await server.stream()
  stream.respond({ ':status': 200 })
  expect(decodeResponseHead(await head).status).toBe(200)
})

test('250 watches are 3 connections', async () => {
  for (let count = 0; count < 250; count += 1) watch()
  await vi.waitFor(() => expect(server.streams).toHaveLength(250), WAIT)
  expect(server.sessions).toHaveLength(3)
})

test.each([
  {
    name: 'breaks off',
    how: (stream: ServerHttp2Stream) => stream.destroy(new Error('it broke')),
  },
  {
    name: 'loses its connection',
    how: (stream: ServerHttp2Stream) => stream.session?.destroy(),
  },
])('a watch that $name never looks complete', async ({ how }) => {
  const { head, body } = watch()
  const { stream } = await server.stream()
  stream.respond({ ':status': 200 })
  stream.write('{"half"')
  await head
  const reading = text(body)
  how(stream)
  await expect(reading).rejects.toMatchObject({ name: 'MuxResetError', code: 'failed' })
})

test('when the client goes away kube-apiserver stops too, and the others go on', async () => {
  const first = watch()
  const second = watch()
  const { stream } = await server.stream(0)
  const { stream: other } = await server.stream(1)
  stream.respond({ ':status': 200 })
  other.respond({ ':status': 200 })
  await Promise.all([first.head, second.head])
  const closed = once(stream, 'close')
  first.body.destroy()
  await closed
  expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL)
  other.end('event')
  expect(await text(second.body)).toBe('event')
})

test('a watcher that does not read loses nothing, and holds up no other', async () => {
  const bytes = 8 << 20
  const slow = watch()
  const { stream } = await server.stream(0)
  stream.respond({ ':status': 200 })
  stream.end(Buffer.alloc(bytes, 'x'))
  await slow.head
  const quick = watch()
  const { stream: other } = await server.stream(1)
  other.respond({ ':status': 200 })
  other.end('event')
  expect(await text(quick.body)).toBe('event')
  let received = 0
  for await (const chunk of slow.body) received += Buffer.byteLength(chunk)
  expect(received).toBe(bytes)
})

test('a watch that is refused unseen is asked for over HTTP/1.1', async () => {
  const { head, body } = watch()
  const { stream } = await server.stream()
  stream.close(constants.NGHTTP2_REFUSED_STREAM)
  expect(decodeResponseHead(await head).status).toBe(200)
  expect(await text(body)).toBe('one')
  expect(server.overHttp1).toEqual([WATCH.target])
})

test('a server that goes away keeps the watches that it has, and gets no new ones there', async () => {
  const first = watch()
  const { stream } = await server.stream(0)
  stream.respond({ ':status': 200 })
  await first.head
  server.sessions[0]?.goaway(constants.NGHTTP2_NO_ERROR)
  await new Promise((resolve) => stream.session?.ping(resolve))
  const second = watch()
  const { stream: other } = await server.stream(1)
  expect(other.session).not.toBe(stream.session)
  other.respond({ ':status': 200 })
  other.end('new')
  stream.end('old')
  expect(await text(first.body)).toBe('old')
  expect(await text(second.body)).toBe('new')
})

test('while a connection that broke is still closing, new watches go over another', async () => {
  const authority = await createTestAuthority()
  const { cert, key } = await authority.material('service/apiserver', { dnsNames: ['localhost'] })
  const SETTINGS = Buffer.of(0, 0, 0, 4, 0, 0, 0, 0, 0)
  const DATA_OF_NO_STREAM = Buffer.of(0, 0, 1, 0, 0, 0, 0, 0, 0, 0)
  const connections: TLSSocket[] = []
  const breaking = createServer({ cert, key, ALPNProtocols: ['h2'] }, (socket) => {
    connections.push(socket)
    socket.on('error', () => {})
    socket.write(SETTINGS)
    if (connections.length === 1) socket.once('data', () => socket.write(DATA_OF_NO_STREAM))
  })
  breaking.listen(0, 'localhost')
  onTestFinished(() => void breaking.close())
  await once(breaking, 'listening')
  const address = breaking.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0

  const watch = (): unknown => watches.send(request, NOBODY)
  const watchAgain = vi.fn<() => unknown>().mockImplementationOnce(watch)
  const watches = createWatchSessions({
    server: { host: 'localhost', port, secureContext: createSecureContext({ ca: authority.ca }) },
    sessionsMax: 2,
    otherwise: {
      send() {
        watchAgain()
        return { write: () => true, end() {}, pause() {}, resume() {}, abort() {} }
      },
    },
  })
  onTestFinished(() => watches.close())
  const request: OutgoingRequest = {
    method: 'GET',
    target: WATCH.target,
    headers: [prepareLines([['Host', `localhost:${port}`]])],
    framing: { kind: 'none' },
  }
  watch()
  await vi.waitFor(() => expect(connections).toHaveLength(2), { ...WAIT, timeout: 10_000 })
  expect(watchAgain).toHaveReturned()
})
