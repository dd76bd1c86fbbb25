import type { Duplex } from 'node:stream'
import type { ResponseHead } from '@postern/kube-http'
import { expect, test } from 'vitest'
import { FRONT_LIMITS } from './front-limits.ts'
import { connect, get, keeper, OK, post, settle } from './testing.ts'

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
  pass(FRONT_LIMITS.idleMs + 1)
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
