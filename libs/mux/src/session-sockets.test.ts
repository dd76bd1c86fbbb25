import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { MuxStream } from './api.ts'
import { createMuxSession } from './session.ts'
import { accepted, listen, sendAll, until } from './testing.ts'

const server = createServer()

beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterAll(() => {
  server.close()
})

/** Two sessions with a connection of the machine between them, whose reads are given up when they are handed on. */
async function createSocketPair() {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  const arrives = once(server, 'connection')
  const ours = connect(address.port, address.address)
  const [theirs]: Socket[] = await arrives
  if (theirs === undefined) throw new Error('nobody connected')
  return {
    client: createMuxSession(ours, { role: 'client' }),
    server: createMuxSession(theirs, { role: 'server' }),
    [Symbol.dispose]() {
      ours.destroy()
      theirs.destroy()
    },
  }
}

test('what was read is good for the call only', async () => {
  using pair = await createSocketPair()
  const arrives = accepted(pair.server)
  send(pair.client.open(Buffer.from('a head')), 1024 * 1024)
  const { stream, head } = await arrives
  const kept: Buffer[] = []
  const heard = listen(stream, { onData: (chunk) => kept.push(chunk) })
  await until(() => heard.ended)
  expect(head.toString()).toBe('a head')
  expect(kept.some(({ length }) => length === 0)).toBe(true)
})

test('what waits for a reader arrives byte for byte, whenever it reads', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 400_000 }), { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(sizes, fc.integer({ min: 1, max: 9 }), async (lengths, pauseEvery) => {
      using pair = await createSocketPair()
      const bodies = new Map<string, Buffer[]>()
      let ended = 0
      pair.server.onStream((stream, head) => {
        const id = head.toString()
        const parts: Buffer[] = []
        bodies.set(id, parts)
        stream.pause()
        stream.receive({
          onData(chunk) {
            parts.push(Buffer.from(chunk))
            if (parts.length % pauseEvery !== 0) return
            stream.pause()
            setImmediate(() => stream.resume())
          },
          onEnd: () => {
            ended += 1
          },
          onClose() {},
        })
        setImmediate(() => stream.resume())
      })
      for (const [index, length] of lengths.entries()) {
        send(pair.client.open(Buffer.from(String(index))), length)
      }
      await until(() => ended === lengths.length)
      for (const [index, length] of lengths.entries()) {
        const whole = Buffer.concat(bodies.get(String(index)) ?? [])
        expect(whole.equals(sent(length))).toBe(true)
      }
    }),
    { numRuns: 30 },
  )
})

const CHUNK_BYTES = 30_000

function send(stream: MuxStream, bytes: number): void {
  const { pump } = sendAll(stream, bytes, CHUNK_BYTES)
  listen(stream, { onDrain: pump })
  pump()
}

/** What was sent of so many bytes. */
function sent(bytes: number): Buffer {
  const chunks: Buffer[] = []
  for (let written = 0; written < bytes; ) {
    const length = Math.min(CHUNK_BYTES, bytes - written)
    written += length
    chunks.push(Buffer.alloc(length, written / CHUNK_BYTES))
  }
  return Buffer.concat(chunks)
}
