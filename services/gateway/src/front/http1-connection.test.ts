import type { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { FRONT_LIMITS } from './front-limits.ts'
import { answerTo, connect, echo, get, keeper, OK, post, settle } from './testing.ts'

test('requests are answered one after the other, on one connection, in the order they came', async () => {
  const { handle, requests } = keeper()
  const { send, state } = connect(handle)
  await send(get('/1') + get('/2') + get('/3'))
  expect(requests.map(({ head }) => head.target)).toEqual(['/1'])
  for (const at of [0, 1, 2]) {
    const request = requests[at]
    if (request !== undefined) echo(request)
    await settle()
  }
  expect(requests.map(({ head }) => head.target)).toEqual(['/1', '/2', '/3'])
  expect(state.text).toBe(answerTo('GET /1') + answerTo('GET /2') + answerTo('GET /3'))
  expect(state.ended).toBe(false)
})

test.each([
  {
    what: 'that waits for 100 and is answered instead',
    lines: 'Content-Length: 2\r\nExpect: 100-continue\r\n',
  },
  { what: 'with a long body that nobody reads', lines: 'Content-Length: 1048577\r\n' },
  { what: 'with chunks that nobody reads', lines: 'Transfer-Encoding: chunked\r\n' },
  { what: 'that says it is the last', lines: 'Connection: close\r\n' },
])('a request $what is the last of its connection', async ({ lines }) => {
  const { send, state } = connect(echo)
  await send(post('/', lines) + get('/smuggled'))
  expect(state.text).toBe(answerTo('POST /', 'Connection: close\r\n'))
  expect(state.ended).toBe(true)
})

test('a short body that nobody reads costs no connection', async () => {
  const { send } = connect(echo)
  await send(post('/1', 'Content-Length: 10\r\n', '01234'))
  expect(await send(`56789${get('/2')}`)).toBe(answerTo('POST /1') + answerTo('GET /2'))
})

test('an answer that does not wait for a long body is the last', async () => {
  const { handle, requests, listener, heard } = keeper()
  const { send, state } = connect(handle)
  await send(post('/', 'Transfer-Encoding: chunked\r\n', '1\r\na\r\n'))
  requests[0]?.listen(listener)
  requests[0]?.respond(OK)
  await send('1\r\nb\r\n')
  requests[0]?.end()
  await send(`1\r\nc\r\n0\r\n\r\n${get('/smuggled')}`)
  expect(heard).toEqual(['a', 'b', 'sent'])
  expect(requests).toHaveLength(1)
  expect(state.text).toMatch(/Connection: close\r\n\r\n0\r\n\r\n$/)
  expect(state.ended).toBe(true)
})

test.each([
  { what: 'a head that is malformed', bytes: 'GET / HTTP/1.1\r\nHost : h\r\n\r\n', status: 400 },
  { what: 'HTTP/1.0', bytes: get('/').replace('1.1', '1.0'), status: 505 },
  {
    what: 'bytes behind the head of a WebSocket',
    bytes: `${get('/', 'Connection: Upgrade\r\nUpgrade: websocket\r\n')}x`,
    status: 400,
  },
  {
    what: 'a broken chunk',
    bytes: post('/', 'Transfer-Encoding: chunked\r\n', 'zz\r\n'),
    status: 400,
  },
])('$what is answered once, and nothing behind it is read', async ({ bytes, status }) => {
  const { handle, requests, listener, heard } = keeper()
  const { send, state, malformed } = connect((request) => {
    handle(request)
    request.listen(listener)
  })
  await send(bytes + get('/smuggled'))
  await send(get('/later'))
  expect(state.text).toMatch(
    new RegExp(`^HTTP/1\\.1 ${status} .*\r\nConnection: close\r\n\r\n`, 's'),
  )
  expect(state.text.match(/HTTP\/1\.1 \d/g)).toHaveLength(1)
  expect(state.ended).toBe(true)
  expect(malformed).toHaveLength(1)
  expect(requests.map(({ head }) => head.target)).not.toContain('/smuggled')
  expect(heard).toEqual(requests.map(() => 'gone'))
})

test('an upgrade gets the connection itself, with the bytes that came early', async () => {
  let raw: Duplex | undefined
  const { send, connection, state, client } = connect((request) => {
    raw = request.switchProtocols([
      ['Connection', 'Upgrade'],
      ['Upgrade', 'SPDY/3.1'],
    ])
  })
  await send(`${get('/', 'Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n')}early`)
  expect(state.text).toBe(
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n',
  )
  const got: string[] = []
  raw?.on('data', (chunk: Buffer) => got.push(chunk.toString()))
  raw?.resume()
  client.write(get('/not-http'))
  await settle()
  expect(got.join('')).toBe(`early${get('/not-http')}`)
  connection.checkDeadline(Number.MAX_SAFE_INTEGER)
  await settle()
  expect(state.closed).toBe(false)
})

test('an upgrade that was refused is the last on its connection', async () => {
  const { send, state } = connect(echo)
  await send(get('/', 'Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n') + get('/smuggled'))
  expect(state.text).toBe(answerTo('GET /', 'Connection: close\r\n'))
  expect(state.ended).toBe(true)
})

test('what a client is late with ends its connection: a head, a body, the next request', async () => {
  const slowHead = connect(echo)
  await slowHead.send('GET / HTTP/1.1\r\nHo')
  slowHead.pass(FRONT_LIMITS.headMs - 1_000)
  expect(await slowHead.send('st: h')).toBe('')
  slowHead.pass(FRONT_LIMITS.headMs + 1)
  await settle()
  expect(slowHead.state.text).toMatch(/^HTTP\/1\.1 408 /)
  expect(slowHead.state.ended).toBe(true)

  const { handle, requests, listener, heard } = keeper()
  const slowBody = connect(handle)
  await slowBody.send(post('/', 'Content-Length: 2\r\n', '{'))
  requests[0]?.listen(listener)
  await settle()
  slowBody.pass(FRONT_LIMITS.bodySilenceMs + 1)
  await settle()
  expect(slowBody.state.text).toMatch(/^HTTP\/1\.1 408 /)
  expect(heard).toEqual(['{', 'gone'])

  const idle = connect(echo)
  await idle.send(get('/'))
  idle.pass(FRONT_LIMITS.idleMs - 1_000)
  await settle()
  expect(idle.state.ended).toBe(false)
  idle.pass(FRONT_LIMITS.idleMs + 1)
  await settle()
  expect([idle.state.ended, idle.state.text]).toEqual([true, answerTo('GET /')])

  const lingering = connect(echo)
  lingering.client.on('end', () => lingering.client.write('still here'))
  await lingering.send(get('/', 'Connection: close\r\n'))
  expect(lingering.state.closed).toBe(false)
  lingering.pass(FRONT_LIMITS.lingerMs + 1)
  await settle()
  expect(lingering.state.closed).toBe(true)
})

test('what runs is waited for however long it takes', async () => {
  const { handle, requests } = keeper()
  const { send, pass, state } = connect(handle)
  await send(get('/watch'))
  requests[0]?.respond(OK)
  pass(100 * FRONT_LIMITS.ageMs)
  await settle()
  expect([state.closed, state.ended]).toEqual([false, false])
})

test('a front that drains says so with the next answer, and ends what is idle', async () => {
  const { handle, requests } = keeper()
  const busy = connect(handle)
  await busy.send(get('/1'))
  busy.state.draining = true
  busy.connection.closeIfIdle()
  if (requests[0] !== undefined) echo(requests[0])
  await settle()
  expect(busy.state.text).toBe(answerTo('GET /1', 'Connection: close\r\n'))
  expect(busy.state.ended).toBe(true)

  const idle = connect(echo)
  await idle.send(get('/'))
  idle.connection.closeIfIdle()
  await settle()
  expect(idle.state.ended).toBe(true)
})
