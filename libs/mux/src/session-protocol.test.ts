import { duplexPair } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import type { MuxSession } from './api.ts'
import {
  encodeEnd,
  encodeHeader,
  encodeMessage,
  encodeReset,
  encodeWindow,
  FrameType,
} from './frame.ts'
import { createMuxSession } from './session.ts'
import { listen } from './testing.ts'

const NOTHING = Buffer.alloc(0)
const open: MuxSession[] = []
afterEach(() => {
  for (const session of open.splice(0)) session.close('the test is over')
})

describe('a peer that breaks the protocol', () => {
  const data = (id: number, length: number) =>
    Buffer.concat([encodeHeader(FrameType.DATA, id, length), Buffer.alloc(length)])
  const opening = (id: number) => Buffer.concat(encodeMessage(FrameType.OPEN, id, NOTHING))

  test.each([
    { name: 'a frame for a stream that was never opened', frames: [encodeEnd(5)] },
    { name: 'a stream id used twice', frames: [opening(1), opening(1)] },
    { name: 'bytes after the end', frames: [opening(1), encodeEnd(1), data(1, 1)] },
    { name: 'two ends', frames: [opening(1), encodeEnd(1), encodeEnd(1)] },
    { name: 'more than its credit', frames: [opening(1), ...Array(6).fill(data(1, 60_000))] },
    {
      name: 'endless credit',
      frames: [opening(1), encodeWindow(1, 0x7fffffff), encodeWindow(1, 0x7fffffff)],
    },
    { name: 'a head from the opening side', frames: [opening(1), ...encodeMessage(2, 1, NOTHING)] },
    {
      name: 'an unknown reset code',
      frames: [opening(1), Buffer.from([5, 0, 0, 1, 0, 0, 0, 1, 99])],
    },
  ])('$name: the connection closes with the reason', async ({ frames }) => {
    const [a, b] = duplexPair()
    b.resume()
    const server = createMuxSession(a, { role: 'server' })
    server.onStream((stream) => {
      stream.pause()
      listen(stream)
    })
    for (const bytes of frames) b.write(bytes)
    expect((await server.closed).reason).toMatch(/^protocol error: /)
  })

  test('frames for a stream that has just ended are no error', async () => {
    const [a, b] = duplexPair()
    b.resume()
    const server = createMuxSession(a, { role: 'server' })
    open.push(server)
    server.onStream((stream) => stream.reset('cancelled'))
    for (const bytes of [opening(1), data(1, 5), encodeWindow(1, 9), encodeEnd(1)]) b.write(bytes)
    b.write(encodeReset(1, 'cancelled', ''))
    for (let turns = 0; turns < 10; turns += 1) await setImmediate()
    expect(server.state).toBe('open')
  })

  test('one that asks and never reads is given up', async () => {
    const [a, b] = duplexPair()
    const server = createMuxSession(a, { role: 'server' })
    const ping = Buffer.concat([encodeHeader(FrameType.PING, 0, 8), Buffer.alloc(8)])
    const flood = Buffer.concat(Array(4096).fill(ping))
    for (let times = 0; times < 200 && server.state === 'open'; times += 1) {
      b.write(flood)
      await setImmediate()
    }
    expect((await server.closed).reason).toBe('the other side does not read')
  })
})
