import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { connect, get, keeper, OK, post, settle } from './testing.ts'

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
