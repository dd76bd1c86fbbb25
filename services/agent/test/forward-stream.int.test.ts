import { once } from 'node:events'
import { decodeResponseHead } from '@postern/kube-http'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type DataPath, SESSION, startDataPath, text } from './gateway-side.ts'
import { type ScriptedServer, startScriptedServer } from './scripted-server.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
let server: ScriptedServer
let path: DataPath

beforeEach(async () => {
  server = await startScriptedServer()
  path = startDataPath(server)
})

afterEach(async () => {
  await path.close()
  server.close()
})

async function answering(answer: string) {
  const connection = await server.accept()
  await connection.until('\r\n\r\n')
  connection.say(answer)
  return connection
}

test('kube-apiserver gets the account as the one who asks, and the audit id of the gateway', async () => {
  const [answer, { received }] = await Promise.all([
    path.answer({ target: '/api/v1/pods?limit=5', headers: [['Accept', 'application/json']] }),
    answering(OK),
  ])
  expect(answer).toMatchObject({ status: 200, body: 'ok' })
  const [line, ...headers] = received().trimEnd().split('\r\n')
  expect(line).toBe('GET /api/v1/pods?limit=5 HTTP/1.1')
  expect(headers).toEqual([
    `Host: localhost:${server.port}`,
    'Authorization: Bearer jit-token',
    'Audit-ID: audit-1',
    expect.stringMatching(/^Traceparent: 00-0123456789abcdef0123456789abcdef-/),
    'Accept: application/json',
  ])
})

test.each([
  {
    name: 'a length that is known is kept',
    length: '5',
    framing: /Content-Length: 5\r\n/,
    body: 'hello',
  },
  {
    name: 'a body of unknown length is chunked anew',
    length: undefined,
    framing: /Transfer-Encoding: chunked\r\n/,
    body: '5\r\nhello\r\n0\r\n\r\n',
  },
])('$name', async ({ length, framing, body }) => {
  const headers = length === undefined ? [] : ([['Content-Length', length]] as const)
  const answered = path.answer({ method: 'POST', headers }, 'hello')
  const connection = await server.accept()
  await connection.until(`\r\n\r\n${body}`)
  connection.say(OK)
  expect((await answered).status).toBe(200)
  expect(connection.received()).toMatch(framing)
})

test('repeated header lines stay repeated', async () => {
  const headers = [
    ['Accept', 'a'],
    ['Accept', 'b'],
  ] as const
  const [, { received }] = await Promise.all([path.answer({ headers }), answering(OK)])
  expect(received()).toContain('Accept: a\r\nAccept: b\r\n')
})

test.each([
  ['Authorization', 'Bearer stolen'],
  ['Impersonate-User', 'system:admin'],
  ['impersonate_group', 'system:masters'],
  ['X-Remote-User', 'system:admin'],
  ['X_REMOTE_GROUP', 'system:masters'],
  ['Connection', 'close'],
  ['Transfer-Encoding', 'chunked'],
  ['Host', 'elsewhere'],
  ['Audit-ID', 'mine'],
  ['Cookie', 'a=b'],
])('a head with %s is refused, and nothing reaches kube-apiserver', async (name, value) => {
  const answer = await path.answer({ headers: [[name, value]] })
  expect(answer).toMatchObject({
    status: 400,
    headers: [['postern-agent-error', 'head-refused'], expect.anything()],
  })
  expect(server.connections).toHaveLength(0)
})

test.each([
  { name: 'a path that is not canonical', head: { target: '/api/v1/namespaces/a/%73ecrets' } },
  { name: 'a path with an empty segment', head: { target: '/api/v1/namespaces//secrets' } },
  { name: 'a method that kube-apiserver does not know', head: { method: 'TRACE' } },
  {
    name: 'two lengths',
    head: {
      headers: [
        ['Content-Length', '1'],
        ['Content-Length', '1'],
      ],
    },
  },
  { name: 'an upgrade among the plain requests', head: { upgrade: 'websocket' } },
] as const)('$name is refused, and nothing reaches kube-apiserver', async ({ head }) => {
  expect((await path.answer(head)).headers[0]).toEqual(['postern-agent-error', 'head-refused'])
  expect(server.connections).toHaveLength(0)
})

test.each([
  { sessionId: 'nobody', error: 'unknown-session', status: 401 },
  { sessionId: 'making', error: 'no-token', status: 503 },
])('a session that is $sessionId is answered with $error', async ({ sessionId, error, status }) => {
  const answer = await path.answer({ sessionId })
  expect(answer).toMatchObject({
    status,
    headers: [['postern-agent-error', error], expect.anything()],
  })
})

test('a kube-apiserver that takes no connection is told apart from one that was asked', async () => {
  server.close()
  const answer = await path.answer({})
  expect(answer.headers[0]).toEqual(['postern-agent-error', 'upstream-unreachable'])
})

test('kube-apiserver cannot speak as the agent', async () => {
  const [answer] = await Promise.all([
    path.answer({}),
    answering(
      'HTTP/1.1 200 OK\r\nPostern-Agent-Error: no-token\r\nConnection: X-A\r\nETag: x\r\nContent-Length: 0\r\n\r\n',
    ),
  ])
  expect(answer.headers).toEqual([
    ['ETag', 'x'],
    ['Content-Length', '0'],
  ])
})

test('interim answers and trailers are dropped', async () => {
  const [answer] = await Promise.all([
    path.answer({}),
    answering(
      'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n' +
        '2\r\nok\r\n0\r\nImpersonate-User: root\r\n\r\n',
    ),
  ])
  expect(answer).toEqual({ status: 200, headers: [], body: 'ok' })
})

test('a redirect is handed on, never followed', async () => {
  const [answer] = await Promise.all([
    path.answer({}),
    answering('HTTP/1.1 302 Found\r\nLocation: https://localhost/x\r\nContent-Length: 0\r\n\r\n'),
  ])
  expect(answer.status).toBe(302)
  expect(server.connections).toHaveLength(1)
})

test.each([
  { name: 'short of its length', answer: 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf' },
  {
    name: 'in the middle of a chunk',
    answer: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf',
  },
  {
    name: 'before the last chunk',
    answer: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
  },
])('an answer that breaks off $name never looks complete', async ({ answer }) => {
  const { head, body } = path.request({})
  body.end()
  const connection = await answering(answer)
  await head
  const reading = text(body)
  connection.socket.end()
  await expect(reading).rejects.toMatchObject({ name: 'MuxResetError', code: 'failed' })
})

test('an upgrade that nobody asked for ends the connection', async () => {
  const { head, body } = path.request({})
  body.on('error', () => {})
  body.end()
  await answering(
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nraw',
  )
  await expect(head).rejects.toMatchObject({ name: 'MuxResetError' })
})

test('when the client goes away kube-apiserver stops too', async () => {
  const { head, body } = path.request({ target: '/api/v1/pods?watch=true' })
  body.end()
  body.on('error', () => {})
  const { socket } = await answering(
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n',
  )
  await head
  const closed = once(socket, 'close')
  body.destroy()
  await closed
})

test('what runs under a session ends with it', async () => {
  const { head, body } = path.request({ target: '/api/v1/pods?watch=true' })
  body.end()
  const { socket } = await answering(
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n',
  )
  await head
  const closed = once(socket, 'close')
  const reading = text(body)
  path.live.cut(SESSION)
  await expect(reading).rejects.toMatchObject({ message: 'the session has ended' })
  await closed
  expect(path.live.count).toBe(0)
})

test('a reader that does not read stops kube-apiserver from sending', async () => {
  const { head, body } = path.request({})
  body.end()
  const { socket } = await answering('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
  await head
  const bytes = 64 << 20
  socket.write(`${bytes.toString(16)}\r\n`)
  let sent = 0
  const part = Buffer.alloc(1 << 16, 'x')
  const send = () => {
    while (sent < bytes && socket.writable) {
      sent += part.length
      if (!socket.write(part)) {
        socket.once('drain', send)
        return
      }
    }
    socket.write('\r\n0\r\n\r\n')
  }
  send()
  let before = -1
  // Nothing moves any more: everything on the way is full.
  await vi.waitFor(
    () => {
      const moved = sent - before
      before = sent
      expect(moved).toBe(0)
    },
    { timeout: 10_000, interval: 300 },
  )
  expect(sent).toBeLessThan(16 << 20)
  let received = 0
  for await (const chunk of body) received += Buffer.byteLength(chunk)
  expect(received).toBe(bytes)
})

test('a kube-apiserver that does not read stops the client from sending', async () => {
  const { body } = path.request({ method: 'POST' })
  body.on('error', () => {})
  const { socket } = await server.accept()
  socket.pause()
  let sent = 0
  while (sent < 64 << 20) {
    sent += 1 << 16
    if (body.write(Buffer.alloc(1 << 16))) continue
    const drained = await Promise.race([
      once(body, 'drain').then(() => true),
      new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 500)),
    ])
    if (!drained) break
  }
  expect(sent).toBeLessThan(16 << 20)
})

test('one connection serves request after request, of whatever session', async () => {
  await Promise.all([path.answer({}), answering(OK)])
  const [connection] = server.connections
  const second = path.answer({ target: '/version' })
  await connection?.until('/version')
  connection?.say(OK)
  expect((await second).status).toBe(200)
  expect(server.connections).toHaveLength(1)
})

test('a connection that kube-apiserver closes just then costs a read nothing', async () => {
  const [, first] = await Promise.all([path.answer({}), answering(OK)])
  const second = path.answer({ target: '/version' })
  await first.until('/version')
  const again = answering(OK)
  first.socket.destroy()
  await again
  expect((await second).status).toBe(200)
})

test('a write is never sent twice', async () => {
  const [, first] = await Promise.all([path.answer({}), answering(OK)])
  const second = path.answer({ method: 'POST', headers: [['Content-Length', '2']] }, '{}')
  await first.until('{}')
  first.socket.destroy()
  await expect(second).rejects.toMatchObject({ name: 'MuxResetError', code: 'failed' })
  expect(server.connections).toHaveLength(1)
})

test('an answer that comes before the whole request was read is whole, and ends its connection', async () => {
  const { head, body } = path.request({ method: 'POST', headers: [['Content-Length', '100000']] })
  body.on('error', () => {})
  body.write('begun')
  const connection = await answering('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig')
  const closed = once(connection.socket, 'close')
  expect(decodeResponseHead(await head).status).toBe(413)
  const chunks: string[] = []
  body.on('data', (chunk) => chunks.push(String(chunk)))
  await vi.waitFor(() => expect(chunks.join('')).toBe('big'), { timeout: 5_000 })
  await closed
})

test('bytes behind an answer end the connection: they must not answer the next request', async () => {
  await Promise.all([
    path.answer({}),
    answering(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`),
  ]).catch(() => undefined)
  const [answer] = await Promise.all([path.answer({ target: '/version' }), answering(OK)])
  expect(answer.body).toBe('ok')
})

test('a token that kube-apiserver refuses has its account looked at', async () => {
  await Promise.all([
    path.answer({}),
    answering('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n'),
  ])
  expect(path.broken).toEqual([SESSION])
})
