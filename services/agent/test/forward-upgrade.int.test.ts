import { once } from 'node:events'
import type { Socket } from 'node:net'
import { readSlowly, sendAll } from '@postern/fixtures'
import { decodeResponseHead, type ResponseHead } from '@postern/kube-http'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type DataPath, SESSION, startDataPath, text } from './gateway-side.ts'
import { type ScriptedServer, startScriptedServer } from './scripted-server.ts'

const SWITCHED =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n'
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

/** The head that an agent answers an upgrade with. */
async function headOf(socket: Socket): Promise<ResponseHead> {
  const length = (await read(socket, 4)).readUInt32BE(0)
  return decodeResponseHead(await read(socket, length))
}

async function read(socket: Socket, bytes: number): Promise<Buffer> {
  for (;;) {
    const chunk: unknown = socket.read(bytes)
    if (Buffer.isBuffer(chunk) && chunk.length === bytes) return chunk
    if (socket.destroyed || socket.readableEnded) throw new Error('the connection ended')
    await Promise.race([once(socket, 'readable'), once(socket, 'end'), once(socket, 'close')])
  }
}

test('the agent asks for the upgrade in its own words', async () => {
  const [socket, { received }] = await Promise.all([
    path.upgrade({
      headers: [
        ['Sec-WebSocket-Key', 'k'],
        ['Sec-WebSocket-Version', '13'],
      ],
    }),
    answering(SWITCHED),
  ])
  expect((await headOf(socket)).status).toBe(101)
  expect(received()).toContain('Connection: Upgrade\r\nUpgrade: websocket\r\n')
  expect(received()).toContain('Authorization: Bearer jit-token\r\n')
  expect(received()).not.toMatch(/Content-Length|Transfer-Encoding/)
})

test('the protocol versions of SPDY stay lines of their own', async () => {
  const names = ['v4.channel.k8s.io', 'v3.channel.k8s.io', 'channel.k8s.io']
  const headers = names.map((name) => ['X-Stream-Protocol-Version', name] as const)
  const [, { received }] = await Promise.all([
    path.upgrade({ method: 'POST', upgrade: 'SPDY/3.1', headers }),
    answering(SWITCHED.replace('websocket', 'SPDY/3.1')),
  ])
  for (const name of names) expect(received()).toContain(`X-Stream-Protocol-Version: ${name}\r\n`)
})

test('once upgraded, bytes go both ways as they are, those that came early too', async () => {
  const [socket, connection] = await Promise.all([path.upgrade({}), answering(`${SWITCHED}early`)])
  await headOf(socket)
  expect((await read(socket, 5)).toString()).toBe('early')
  socket.write('to the cluster')
  await connection.until('to the cluster')
  connection.say('to the client')
  expect((await read(socket, 13)).toString()).toBe('to the client')
})

test('100 MB pass slow readers byte for byte, each way and both at once', async () => {
  const [socket, { socket: upstream }] = await Promise.all([path.upgrade({}), answering(SWITCHED)])
  await headOf(socket)
  upstream.allowHalfOpen = true
  upstream.removeAllListeners('data')
  const [sentUp, sentDown, gotUp, gotDown] = await Promise.all([
    sendAll(socket, 100 << 20),
    sendAll(upstream, 100 << 20),
    readSlowly(upstream),
    readSlowly(socket),
  ])
  expect(gotUp).toBe(sentUp)
  expect(gotDown).toBe(sentDown)
})

test('the last bytes before an end arrive, though nobody takes what is still sent to the cluster', async () => {
  const [socket, { socket: upstream }] = await Promise.all([path.upgrade({}), answering(SWITCHED)])
  await headOf(socket)
  const bytes = 20 << 20
  upstream.end(Buffer.alloc(bytes, 'x'))
  let received = 0
  for await (const chunk of socket) {
    received += Buffer.byteLength(chunk)
    if (socket.writable) socket.write('still typing')
    if (received < 1 << 20) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  expect(received).toBe(bytes)
})

test('the cluster hears the end of stdin, and still answers', async () => {
  const [socket, connection] = await Promise.all([path.upgrade({}), answering(SWITCHED)])
  await headOf(socket)
  connection.socket.allowHalfOpen = true
  const ended = once(connection.socket, 'end')
  socket.end('the whole of stdin')
  await ended
  expect(connection.received()).toContain('the whole of stdin')
  connection.socket.end('and what became of it')
  expect(await text(socket)).toBe('and what became of it')
})

test.each(['HTTP/1.1 403 Forbidden', 'HTTP/1.1 400 Bad Request', 'HTTP/1.1 200 OK'])(
  'after %s both connections end, and nothing more reaches kube-apiserver',
  async (line) => {
    const [socket, connection] = await Promise.all([
      path.upgrade({}),
      answering(`${line}\r\nContent-Length: 4\r\n\r\nnope`),
    ])
    const closed = once(connection.socket, 'close')
    const head = await headOf(socket)
    socket.write('GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(head.status).toBe(Number(line.split(' ')[1]))
    expect(await text(socket)).toBe('nope')
    socket.end()
    await closed
    expect(connection.received()).not.toContain('secrets')
    expect(server.connections).toHaveLength(1)
  },
)

test('what a cluster says instead of an upgrade is bounded', async () => {
  const [socket] = await Promise.all([
    path.upgrade({}),
    answering(`HTTP/1.1 500 Oops\r\n\r\n${'x'.repeat(1 << 20)}`),
  ])
  await headOf(socket)
  expect(await text(socket)).toHaveLength(64 * 1024)
  socket.end()
})

test.each([
  { name: 'another protocol', answer: SWITCHED.replace('websocket', 'h2c') },
  { name: 'no protocol', answer: SWITCHED.replace('Upgrade: websocket\r\n', '') },
  { name: 'a head without an end', answer: `HTTP/1.1 101 x\r\nX: ${'x'.repeat(70_000)}` },
  { name: 'nonsense', answer: 'SSH-2.0-OpenSSH\r\n\r\n' },
])('a switch to $name is a break', async ({ answer }) => {
  const [socket, connection] = await Promise.all([path.upgrade({}), answering(answer)])
  const closed = once(connection.socket, 'close')
  await expect(headOf(socket)).rejects.toThrow('ended')
  await closed
})

test.each([
  { name: 'an unknown session', head: { sessionId: 'nobody' }, error: 'unknown-session' },
  {
    name: 'an identity header',
    head: { headers: [['Impersonate-User', 'x']] as const },
    error: 'head-refused',
  },
  {
    name: 'a path that is not canonical',
    head: { target: '/api//v1/pods/x/exec' },
    error: 'head-refused',
  },
])('$name is refused, and nothing reaches kube-apiserver', async ({ head, error }) => {
  const socket = await path.upgrade(head)
  expect((await headOf(socket)).headers[0]).toEqual(['postern-agent-error', error])
  socket.end()
  expect(server.connections).toHaveLength(0)
})

test.each(['gateway', 'cluster'])(
  'when the %s breaks off, the other side ends too',
  async (who) => {
    const [socket, connection] = await Promise.all([path.upgrade({}), answering(SWITCHED)])
    await headOf(socket)
    const ended = who === 'gateway' ? once(connection.socket, 'close') : once(socket, 'end')
    socket.resume()
    if (who === 'gateway') socket.destroy()
    else connection.socket.destroy()
    await ended
    // A side that has ended is given five seconds to hear the other one out.
    await vi.waitFor(() => expect(path.live.count).toBe(0), { timeout: 8_000 })
  },
)

test('an upgrade ends with its session', async () => {
  const [socket, connection] = await Promise.all([path.upgrade({}), answering(SWITCHED)])
  await headOf(socket)
  socket.resume()
  const ended = [once(socket, 'end'), once(connection.socket, 'close')]
  path.live.cut(SESSION)
  await Promise.all(ended)
})
