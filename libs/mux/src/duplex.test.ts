import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { afterEach, expect, test } from 'vitest'
import { toDuplex } from './duplex.ts'
import { createMuxPair, until } from './testing.ts'

let pair = createMuxPair()
afterEach(() => {
  pair.client.close('the test is over')
  pair.server.close('the test is over')
  pair = createMuxPair()
})

const NOTHING = Buffer.alloc(0)

test('bodies go through pipelines both ways', async () => {
  pair.server.onStream((stream) => {
    const { body } = toDuplex(stream)
    stream.sendHead(Buffer.from('200'))
    void pipeline(body, body)
  })
  const { head, body } = toDuplex(pair.client.open(NOTHING))
  const chunks = Array.from({ length: 40 }, (_, index) => Buffer.alloc(50_000, index))
  const received: Buffer[] = []
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      received.push(chunk)
      setImmediate(() => done())
    },
  })
  await pipeline(Readable.from(chunks), body, sink)
  expect((await head).toString()).toBe('200')
  expect(Buffer.concat(received).equals(Buffer.concat(chunks))).toBe(true)
  await until(() => pair.client.streams === 0 && pair.server.streams === 0)
})

test('destroying a body that is not complete resets the stream', async () => {
  const errors: Error[] = []
  pair.server.onStream((stream) => {
    const { body } = toDuplex(stream)
    body.on('error', (error) => errors.push(error))
    stream.sendHead(NOTHING)
    body.write('beginning')
  })
  const { body } = toDuplex(pair.client.open(NOTHING))
  body.once('data', () => body.destroy())
  await until(() => errors.length === 1)
  expect(errors[0]).toMatchObject({ code: 'cancelled', by: 'peer' })
})

test('a reset by the other side is an error of head and body', async () => {
  pair.server.onStream((stream) => stream.reset('refused', 'not now'))
  const { head, body } = toDuplex(pair.client.open(NOTHING))
  const failed = new Promise((resolve) => body.once('error', resolve))
  await expect(head).rejects.toMatchObject({ code: 'refused', message: 'not now' })
  expect(await failed).toMatchObject({ code: 'refused' })
})
