import { type Duplex, duplexPair } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import type { ResponseHead } from '@postern/kube-http'
import { expect, test } from 'vitest'
import type { ClientListener, FrontRequest } from './front-interface.ts'
import { Http1Connection } from './http1-connection.ts'
import { HTTP1_LIMITS } from './http1-limits.ts'

const OK: ResponseHead = { status: 200, headers: [['Date', 'today']] }

/** A client and the connection that serves it, joined in memory. */
function connect(handle: (request: FrontRequest) => void) {
  const [client, server]: Duplex[] = duplexPair()
  if (client === undefined || server === undefined) throw new Error('duplexPair made no pair')
  const malformed: string[] = []
  const state = { draining: false, closed: false, ended: false, text: '' }
  const connection = new Http1Connection(
    server,
    { remoteAddress: '10.0.0.1', serverName: 'demo.localhost', memory: {} },
    {
      handle,
      onMalformed: (_address, problem) => void malformed.push(problem),
      onClosed: () => {
        state.closed = true
      },
      isDraining: () => state.draining,
      flushSoon: (exchange) => process.nextTick(() => exchange.flush()),
      headBudget: { bytesLeft: 1 << 24 },
      limits: HTTP1_LIMITS,
    },
  )
  client.on('data', (chunk: Buffer) => {
    state.text += chunk.toString('latin1')
  })
  client.on('end', () => {
    state.ended = true
  })
  client.on('error', () => {})
  return {
    client,
    server,
    connection,
    malformed,
    state,
    send: async (text: string): Promise<string> => {
      client.write(text, 'latin1')
      await settle()
      return state.text
    },
    pass: (ms: number) => connection.checkDeadline(Date.now() + ms),
  }
}

/** Nothing here waits for anything but turns of the event loop. */
async function settle(): Promise<void> {
  for (let turns = 0; turns < 8; turns += 1) await turn()
}

/** Answers with what was asked, at once. */
const echo = (request: FrontRequest): void => {
  request.answer(OK, Buffer.from(`${request.head.method} ${request.head.target}`))
}

/** Keeps requests for later, with what was heard of their clients. */
function keeper() {
  const requests: FrontRequest[] = []
  const heard: string[] = []
  const listener: ClientListener = {
    onBody: (chunk) => void heard.push(chunk.toString()),
    onBodyEnd: () => void heard.push('end of body'),
    onAnswerDrain: () => void heard.push('drain'),
    onSent: () => void heard.push('sent'),
    onGone: () => void heard.push('gone'),
  }
  return {
    requests,
    heard,
    listener,
    handle: (request: FrontRequest) => void requests.push(request),
  }
}

const get = (path: string, lines = '') => `GET ${path} HTTP/1.1\r\nHost: h\r\n${lines}\r\n`
const post = (path: string, lines: string, body = '') =>
  `POST ${path} HTTP/1.1\r\nHost: h\r\n${lines}\r\n${body}`
const answerTo = (what: string, lines = '') =>
  `HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: ${what.length}\r\n${lines}\r\n${what}`

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
    what: 'an answer of known length',
    head: { status: 200, headers: [['content-length', '5']] },
    text: 'content-length: 5\r\nDate: x\r\n\r\nhello',
  },
  {
    what: 'an answer of unknown length',
    head: { status: 200, headers: [] },
    text: 'Date: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  },
  {
    what: 'an answer to HEAD',
    method: 'HEAD',
    head: { status: 200, headers: [['Content-Length', '5']] },
    text: 'Content-Length: 5\r\nDate: x\r\n\r\n',
  },
  {
    what: 'a 304',
    head: { status: 304, headers: [['Content-Length', '5']] },
    text: 'Content-Length: 5\r\nDate: x\r\n\r\n',
  },
  {
    what: 'a 204',
    head: { status: 204, headers: [['Content-Length', '5']] },
    text: 'Date: x\r\n\r\n',
  },
] as const)('$what is framed so that the next one is read right', async (example) => {
  const method = 'method' in example ? example.method : 'GET'
  const { send } = connect((request) => {
    request.respond(example.head)
    request.write(Buffer.alloc(0))
    request.write(Buffer.from('hel'))
    request.write(Buffer.from('lo'))
    request.end()
  })
  const asked = get('/').replace('GET', method)
  const answers = (await send(asked + asked)).replace(/^HTTP\/1\.1 \d+ [\w ]+\r\n/, '')
  const [first, second] = answers.split(/HTTP\/1\.1 \d+ [\w ]+\r\n/)
  const plain = (text = '') => text.replace(/Date: .*\r\n/, 'Date: x\r\n')
  const joined = plain(first).replace('3\r\nhel\r\n2\r\nlo\r\n', '5\r\nhello\r\n')
  expect([joined, plain(second)]).toEqual([example.text, plain(first)])
})

test('the head of an answer is sent before there is a body', async () => {
  const { send } = connect((request) => request.respond(OK))
  expect(await send(get('/'))).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\n$/s)
})

test('a body waits until somebody takes it, and while he does not take more', async () => {
  const { handle, requests, heard, listener } = keeper()
  const { send, server, client } = connect(handle)
  await send(post('/', 'Content-Length: 300000\r\n', 'a'.repeat(100)))
  expect(heard).toEqual([])
  requests[0]?.listen(listener)
  await settle()
  expect(heard).toEqual(['a'.repeat(100)])
  requests[0]?.pause()
  for (let count = 0; count < 3; count += 1) client.write('b'.repeat(60_000))
  await settle()
  expect(heard).toHaveLength(1)
  expect(server.isPaused()).toBe(true)
  requests[0]?.resume()
  client.write('c'.repeat(119_900))
  await settle()
  expect(heard.at(-1)).toBe('end of body')
  expect(heard.slice(0, -1).join('')).toBe(
    'a'.repeat(100) + 'b'.repeat(180_000) + 'c'.repeat(119_900),
  )
})

test('of what is pipelined behind a request that runs, a little is read', async () => {
  const { handle } = keeper()
  const { send, server, client } = connect(handle)
  await send(get('/watch'))
  for (let count = 0; count < 100; count += 1) client.write(get(`/${'a'.repeat(10_000)}`))
  await settle()
  expect(server.isPaused()).toBe(true)
  expect(client.writableLength + server.readableLength).toBeGreaterThan(900_000)
})

test('a client that does not take its answers gets no more of them', async () => {
  let answered = 0
  const { client, state } = connect((request) => {
    answered += 1
    request.answer(OK, Buffer.alloc(10_000))
  })
  client.pause()
  client.write(get('/').repeat(1_000))
  await settle()
  expect(answered).toBeLessThan(50)
  client.resume()
  for (let turns = 0; answered < 1_000 && turns < 10_000; turns += 1) await turn()
  await settle()
  expect(state.text.match(/HTTP\/1\.1 200/g)).toHaveLength(1_000)
})

test('a writer is asked to wait while its client does not read, and told when it does', async () => {
  const { handle, requests, heard, listener } = keeper()
  const { send, client } = connect(handle)
  await send(get('/'))
  const [request] = requests
  request?.listen(listener)
  request?.respond(OK)
  client.pause()
  let wrote = 0
  while (request?.write(Buffer.alloc(20_000)) === true && wrote < 100) wrote += 1
  expect(wrote).toBeLessThan(20)
  client.resume()
  await settle()
  expect(heard).toEqual(['end of body', 'drain'])
  request?.end()
  await settle()
  expect(heard.at(-1)).toBe('sent')
})

test('a client that waits for 100 gets it once its body is wanted', async () => {
  const { handle, requests, listener, heard } = keeper()
  const { send, state } = connect(handle)
  await send(post('/', 'Content-Length: 2\r\nExpect: 100-continue\r\n'))
  expect(state.text).toBe('')
  requests[0]?.listen(listener)
  await settle()
  expect(state.text).toBe('HTTP/1.1 100 Continue\r\n\r\n')
  await send('{}')
  expect(heard).toEqual(['{}', 'end of body'])
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

test('a body that breaks in the middle of its answer breaks the answer', async () => {
  const { handle, requests, listener, heard } = keeper()
  const { send, state } = connect(handle)
  await send(post('/', 'Transfer-Encoding: chunked\r\n', '1\r\na\r\n'))
  requests[0]?.listen(listener)
  requests[0]?.respond(OK)
  await send('zz\r\n')
  expect(heard).toEqual(['a', 'gone'])
  expect(state.text).not.toMatch(/ 400 /)
  expect(state.closed).toBe(true)
})

test.each([
  { what: 'that goes away', leave: (client: Duplex) => void client.destroy() },
  { what: 'that closes its end', leave: (client: Duplex) => void client.end() },
])('a client $what cancels what runs for it', async ({ leave }) => {
  const { handle, requests, listener, heard } = keeper()
  const { send, client, state, pass } = connect(handle)
  await send(get('/watch'))
  requests[0]?.listen(listener)
  requests[0]?.respond(OK)
  leave(client)
  await settle()
  expect(heard).toEqual(['end of body', 'gone'])
  expect(requests[0]?.gone).toBe(true)
  // What is said now is said to nobody.
  expect(requests[0]?.write(Buffer.from('x'))).toBe(true)
  requests[0]?.end()
  pass(HTTP1_LIMITS.idleMs + 1)
  await settle()
  expect(state.closed).toBe(true)
})

test('whoever asks after the client has gone hears that it has', async () => {
  const { handle, requests, listener, heard } = keeper()
  const { send, client } = connect(handle)
  await send(get('/'))
  client.destroy()
  await settle()
  requests[0]?.listen(listener)
  expect(heard).toEqual(['gone'])
})

test('what is broken off is seen to be incomplete, and nothing more is heard of it', async () => {
  const { handle, requests, listener, heard } = keeper()
  const { send, state } = connect(handle)
  await send(get('/'))
  requests[0]?.listen(listener)
  requests[0]?.respond(OK)
  requests[0]?.write(Buffer.from('half'))
  await settle()
  requests[0]?.abort()
  await settle()
  expect(state.text).toMatch(/4\r\nhalf\r\n$/)
  expect(state.closed).toBe(true)
  expect(heard).toEqual(['end of body'])
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

test('a refusal that is passed on has one length, that of its body', async () => {
  const { send } = connect((request) => {
    const refused: ResponseHead = { status: 403, headers: [['Content-Length', '9']] }
    request.answer(refused, Buffer.from('forbidden'), { close: true })
  })
  const text = await send(
    'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\n',
  )
  expect(text.match(/content-length: \d+/gi)).toEqual(['Content-Length: 9'])
  expect(text).not.toMatch(/transfer-encoding/i)
  expect(text).toMatch(/\r\n\r\nforbidden$/)
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
  slowHead.pass(HTTP1_LIMITS.headMs - 1_000)
  expect(await slowHead.send('st: h')).toBe('')
  slowHead.pass(HTTP1_LIMITS.headMs + 1)
  await settle()
  expect(slowHead.state.text).toMatch(/^HTTP\/1\.1 408 /)
  expect(slowHead.state.ended).toBe(true)

  const { handle, requests, listener, heard } = keeper()
  const slowBody = connect(handle)
  await slowBody.send(post('/', 'Content-Length: 2\r\n', '{'))
  requests[0]?.listen(listener)
  await settle()
  slowBody.pass(HTTP1_LIMITS.bodySilenceMs + 1)
  await settle()
  expect(slowBody.state.text).toMatch(/^HTTP\/1\.1 408 /)
  expect(heard).toEqual(['{', 'gone'])

  const idle = connect(echo)
  await idle.send(get('/'))
  idle.pass(HTTP1_LIMITS.idleMs - 1_000)
  await settle()
  expect(idle.state.ended).toBe(false)
  idle.pass(HTTP1_LIMITS.idleMs + 1)
  await settle()
  expect([idle.state.ended, idle.state.text]).toEqual([true, answerTo('GET /')])

  const lingering = connect(echo)
  lingering.client.on('end', () => lingering.client.write('still here'))
  await lingering.send(get('/', 'Connection: close\r\n'))
  expect(lingering.state.closed).toBe(false)
  lingering.pass(HTTP1_LIMITS.lingerMs + 1)
  await settle()
  expect(lingering.state.closed).toBe(true)
})

test('what runs is waited for however long it takes', async () => {
  const { handle, requests } = keeper()
  const { send, pass, state } = connect(handle)
  await send(get('/watch'))
  requests[0]?.respond(OK)
  pass(100 * HTTP1_LIMITS.ageMs)
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
