import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BatchWriter } from './batch-writer.ts'

const RECORD_BYTES = 16 * 1024

/** A socket, what was written to it, and when it is done with a write. */
function socketOf({ isBusy = false } = {}) {
  const writes: Buffer[] = []
  let done: (() => void) | undefined
  const socket = new Duplex({
    highWaterMark: 1,
    read() {},
    write(chunk: Buffer, _encoding, callback) {
      writes.push(Buffer.from(chunk))
      if (isBusy) done = callback
      else callback()
    },
  })
  const takeOne = () => {
    const callback = done
    done = undefined
    callback?.()
  }
  return { socket, writes, takeOne }
}

/** A source that says nothing by itself. */
const idle = () => new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })

test('whatever is written in whatever pieces arrives whole and in order, before the end', async () => {
  const piece = fc.integer({ min: 1, max: 200_000 })
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (sizes) => {
      const { socket, writes } = socketOf()
      const writer = new BatchWriter(idle(), socket)
      const chunks = sizes.map((size, index) => Buffer.alloc(size, index))
      for (const chunk of chunks) {
        writer.write(Buffer.from(chunk))
        if (chunk.length % 3 === 0) await setImmediate()
      }
      writer.end()
      await once(socket, 'finish')
      expect(Buffer.concat(writes).equals(Buffer.concat(chunks))).toBe(true)
    }),
    { numRuns: 100 },
  )
})

test('full records of one turn of the event loop are one write', async () => {
  const { socket, writes } = socketOf()
  const writer = new BatchWriter(idle(), socket)
  for (let times = 0; times < 5; times += 1) writer.write(Buffer.alloc(RECORD_BYTES))
  expect(writes).toEqual([])
  await setImmediate()
  expect(writes.map(({ length }) => length)).toEqual([5 * RECORD_BYTES])
})

test('what is shorter than a record takes what was gathered before it along, and waits for that write only', async () => {
  const { socket, writes } = socketOf()
  const writer = new BatchWriter(idle(), socket)
  writer.write(Buffer.alloc(RECORD_BYTES))
  writer.write(Buffer.alloc(100))
  expect(writes.map(({ length }) => length)).toEqual([RECORD_BYTES + 100])
  writer.write(Buffer.alloc(64))
  await setImmediate()
  expect(writes.map(({ length }) => length)).toEqual([RECORD_BYTES + 100, 64])
})

test.each([5, RECORD_BYTES])(
  '%i bytes that come behind what another wrote wait for that alone',
  async (bytes) => {
    const { socket, writes, takeOne } = socketOf({ isBusy: true })
    const writer = new BatchWriter(idle(), socket)
    socket.write('a head')
    writer.write(Buffer.alloc(bytes))
    await setImmediate()
    takeOne()
    await setImmediate()
    expect(writes.map(({ length }) => length)).toEqual([6, bytes])
  },
)

test('a source is held up while 256 KiB are on their way, and goes on once they are not', async () => {
  const { socket, takeOne } = socketOf({ isBusy: true })
  const source = idle()
  source.resume()
  const writer = new BatchWriter(source, socket)
  let bytes = 0
  while (!source.isPaused()) {
    writer.write(Buffer.alloc(RECORD_BYTES))
    bytes += RECORD_BYTES
  }
  expect(bytes).toBe(256 * 1024)
  takeOne()
  await setImmediate()
  expect(source.isPaused()).toBe(true)
  takeOne()
  await setImmediate()
  expect(source.isPaused()).toBe(false)
})

test('what comes for a socket that is gone is dropped, and its source not held up', async () => {
  const { socket, writes } = socketOf()
  const source = idle()
  source.resume()
  const writer = new BatchWriter(source, socket)
  writer.write(Buffer.alloc(RECORD_BYTES))
  socket.destroy()
  for (let times = 0; times < 100; times += 1) {
    writer.write(Buffer.alloc(RECORD_BYTES))
  }
  await setImmediate()
  expect(writes).toEqual([])
  expect(source.isPaused()).toBe(false)
})
