import { duplexPair } from 'node:stream'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createControlConnection } from './control-connection.ts'
import { type ControlMessage, encodeControlMessage } from './control-message.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] })
})
afterEach(() => {
  vi.useRealTimers()
})

function connected() {
  const [ours, theirs] = duplexPair()
  const messages: ControlMessage[] = []
  const closed: string[] = []
  const connection = createControlConnection({
    socket: ours,
    onMessage: (message) => messages.push(message),
    onClose: (reason) => closed.push(reason),
  })
  return { connection, theirs, messages, closed }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('a silent other end is given up after 9 s', async () => {
  const { theirs, closed } = connected()
  theirs.resume()
  vi.advanceTimersByTime(8_999)
  expect(closed).toEqual([])
  vi.advanceTimersByTime(1)
  expect(closed).toEqual(['the other side is silent'])
})

test('an other end that pings is kept, and told nothing of it', async () => {
  const { theirs, closed, messages } = connected()
  theirs.resume()
  for (let times = 0; times < 10; times += 1) {
    theirs.write(encodeControlMessage({ type: 'ping' }))
    await turn()
    vi.advanceTimersByTime(5_000)
  }
  expect(closed).toEqual([])
  expect(messages).toEqual([])
})

test('a malformed message closes, once, and nothing behind it is heard', async () => {
  const { theirs, closed, messages } = connected()
  theirs.resume()
  theirs.write(Buffer.concat([Buffer.from([0, 0, 0, 2]), Buffer.from('{}')]))
  theirs.write(encodeControlMessage({ type: 'park' }))
  await turn()
  theirs.destroy()
  await turn()
  expect(closed).toEqual(['a control message is malformed'])
  expect(messages).toEqual([])
})

test('an other end that does not read is given up', () => {
  const { connection, closed } = connected()
  for (let times = 0; times < 20_000 && closed.length === 0; times += 1) {
    connection.send({ type: 'refused', requestId: times, reason: 'no-agent' })
  }
  expect(closed).toEqual(['the other side does not read'])
  expect(connection.send({ type: 'ping' })).toBe(false)
})

test('a farewell says why', async () => {
  const { connection, theirs } = connected()
  const chunks: Buffer[] = []
  theirs.on('data', (chunk: Buffer) => chunks.push(chunk))
  connection.close('restart')
  await turn()
  expect(Buffer.concat(chunks)).toEqual(encodeControlMessage({ type: 'bye', reason: 'restart' }))
})
