import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { MuxSession, MuxStream } from './api.ts'
import { createMuxSession } from './session.ts'
import { accepted, listen, sendAll } from './testing.ts'

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
  await new Promise<void>((onEnd) => {
    listen(stream, { onData: (chunk) => kept.push(chunk), onEnd })
  })
  expect(head.toString()).toBe('a head')
  expect(kept.some(({ length }) => length === 0)).toBe(true)
})

test('what waits for a reader arrives byte for byte, whenever it reads', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 400_000 }), { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(sizes, fc.integer({ min: 1, max: 9 }), async (lengths, pauseEvery) => {
      using pair = await createSocketPair()
      const bodies = receiveAll(pair.server, lengths.length, pauseEvery)
      for (const [index, length] of lengths.entries()) {
        send(pair.client.open(Buffer.from(String(index))), length)
      }
      const arrived = await bodies
      for (const [index, length] of lengths.entries()) {
        expect(arrived.get(String(index))?.equals(sent(length))).toBe(true)
      }
    }),
    { numRuns: 30 },
  )
})

/** The bodies of so many streams, by their heads. Each is paused again and again. */
function receiveAll(
  session: MuxSession,
  streams: number,
  pauseEvery: number,
): Promise<ReadonlyMap<string, Buffer>> {
  const bodies = new Map<string, Buffer>()
  return new Promise((resolve) => {
    session.onStream((stream, head) => {
      const id = head.toString()
      const parts: Buffer[] = []
      const pauseAWhile = () => {
        stream.pause()
        setImmediate(() => stream.resume())
      }
      pauseAWhile()
      listen(stream, {
        onData(chunk) {
          parts.push(Buffer.from(chunk))
          if (parts.length % pauseEvery === 0) pauseAWhile()
        },
        onEnd() {
          bodies.set(id, Buffer.concat(parts))
          if (bodies.size === streams) resolve(bodies)
        },
      })
    })
  })
}

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
