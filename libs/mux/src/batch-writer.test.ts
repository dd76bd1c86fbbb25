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

test('whatever is written in whatever pieces arrives whole and in order, before the end', async () => {
  const piece = fc.integer({ min: 1, max: 200_000 })
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (sizes) => {
      const { socket, writes } = socketOf()
      const writer = new BatchWriter(socket, () => {})
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
  const writer = new BatchWriter(socket, () => {})
  for (let times = 0; times < 5; times += 1) writer.write(Buffer.alloc(RECORD_BYTES))
  expect(writes).toEqual([])
  await setImmediate()
  expect(writes.map(({ length }) => length)).toEqual([5 * RECORD_BYTES])
})

test('what is shorter than a record takes what was gathered before it along, and waits for nothing', () => {
  const { socket, writes } = socketOf()
  const writer = new BatchWriter(socket, () => {})
  writer.write(Buffer.alloc(RECORD_BYTES))
  writer.write(Buffer.alloc(100))
  writer.write(Buffer.alloc(64))
  expect(writes.map(({ length }) => length)).toEqual([RECORD_BYTES + 100, 64])
})

test('a chunk is its writer’s again as soon as it is written', async () => {
  const { socket, writes } = socketOf()
  const writer = new BatchWriter(socket, () => {})
  const chunk = Buffer.alloc(RECORD_BYTES, 1)
  writer.write(chunk)
  chunk.fill(9)
  await setImmediate()
  expect(writes[0]?.every((byte) => byte === 1)).toBe(true)
})

test('whoever writes for a socket that is busy is held up within 256 KiB, and called once it is not', async () => {
  const { socket, takeOne } = socketOf({ isBusy: true })
  let drained = 0
  const writer = new BatchWriter(socket, () => {
    drained += 1
  })
  let bytes = 0
  do bytes += RECORD_BYTES
  while (writer.write(Buffer.alloc(RECORD_BYTES)))
  expect(bytes).toBe(256 * 1024)
  expect(drained).toBe(0)
  takeOne()
  await setImmediate()
  takeOne()
  await setImmediate()
  expect(drained).toBe(1)
})

test('what comes for a socket that is gone is dropped', async () => {
  const { socket, writes } = socketOf()
  const writer = new BatchWriter(socket, () => {})
  writer.write(Buffer.alloc(RECORD_BYTES))
  socket.destroy()
  for (let times = 0; times < 100; times += 1) {
    expect(writer.write(Buffer.alloc(RECORD_BYTES))).toBe(true)
  }
  await setImmediate()
  expect(writes).toEqual([])
})
