import { once } from 'node:events'
import { createServer } from 'node:net'
import { type Bus, connectBus, StreamMissingError, WrongLastSequenceError } from '@postern/bus'
import { openOutsider } from '@postern/bus/testing'
import { createKillableNats, type KillableNats } from '@postern/fixtures'
import { createMemoryLog, createSilentLog } from '@postern/telemetry/testing'
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest'

const bytes = (text: string) => Buffer.from(text)
const text = (data: Uint8Array) => Buffer.from(data).toString()
const connect = (url: string) => connectBus({ url, name: 'test', log: createSilentLog() })
const until = async (condition: () => boolean | Promise<boolean>) =>
  await vi.waitFor(async () => expect(await condition()).toBe(true), {
    timeout: 10_000,
    interval: 10,
  })
const message = (seq: number) => ({
  subject: 'bus.test.event',
  headers: { pos: String(seq) },
  data: bytes(`event ${seq}`),
})

test('a core message reaches whoever listens', async () => {
  const bus = connect(inject('natsUrl'))
  const outsider = await openOutsider(inject('natsUrl'))
  await until(() => bus.connected)
  const seen: string[] = []
  await outsider.subscribe('bus.core.*', (data) => void seen.push(text(data)))
  bus.publishCore('bus.core.a', bytes('one'))
  await until(() => seen.length === 1)
  expect(seen).toEqual(['one'])
  await outsider.close()
  await bus.close()
})

test('without a server nothing blocks or throws, and the problem is told', async () => {
  const bus = connect('nats://127.0.0.1:1')
  bus.publishCore('a', bytes(''))
  expect(bus.connected).toBe(false)
  await expect(bus.stream('X').lastSeq()).rejects.toThrow(/not connected/)
  await until(() => bus.problem?.includes('cannot be reached') === true)
  await bus.close()
})

test('a server older than 2.12 is refused with words that say what to do', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.write(
      `INFO ${JSON.stringify({ server_id: 'x', version: '2.10.27', jetstream: true, headers: true, max_payload: 1_000_000, proto: 1 })}\r\n`,
    )
    socket.on('data', (data) => {
      if (data.toString().includes('PING')) socket.write('PONG\r\n')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const log = createMemoryLog()
  const bus = connectBus({ url: `nats://127.0.0.1:${port}`, name: 'test', log })
  await until(() => bus.problem?.includes('too old') === true)
  expect(bus.connected).toBe(false)
  expect(log.records.some(({ level }) => level === 'error')).toBe(true)
  await expect(bus.stream('X').lastSeq()).rejects.toThrow(/upgrade it/)
  await bus.close()
  server.close()
})

describe('a stream', () => {
  let nats: KillableNats
  let bus: Bus
  const settings = { subjects: ['bus.test.>'], maxAgeSeconds: 3600 }
  beforeAll(async () => {
    nats = await createKillableNats()
    await nats.start()
    bus = connect(nats.url)
    await until(() => bus.connected)
  })
  afterAll(async () => {
    await bus.close()
    await nats.stop()
  })

  test('takes a message only where the publisher says that it ends', async () => {
    const stream = bus.stream('ORDERED')
    await expect(stream.lastSeq()).rejects.toBeInstanceOf(StreamMissingError)
    await stream.ensure(settings)
    expect(await stream.lastSeq()).toBe(0n)
    await stream.publish([message(1)], 0n)
    await expect(stream.publish([message(1)], 0n)).rejects.toBeInstanceOf(WrongLastSequenceError)
    await expect(stream.publish([message(3)], 2n)).rejects.toBeInstanceOf(WrongLastSequenceError)
    await stream.ensure({ ...settings, maxAgeSeconds: 7200 })
    await stream.publish([message(2)], 1n)
    expect(await stream.lastSeq()).toBe(2n)
  })

  test('takes several messages in their order, each only at its own place', async () => {
    const stream = bus.stream('SEVERAL')
    const several = (first: number, count: number) =>
      Array.from({ length: count }, (_, n) => ({ ...message(first + n), subject: 'bus.several.a' }))
    await stream.ensure({ ...settings, subjects: ['bus.several.>'] })
    await stream.publish([], 0n)
    await stream.publish(several(1, 2), 0n)
    await stream.publish(several(3, 1000), 2n)
    // Of the third, two belong behind what is there.
    for (const expected of [0, 2, 1001, 1005]) {
      const asked = stream.publish(several(expected + 1, 3), BigInt(expected))
      await expect(asked).rejects.toBeInstanceOf(WrongLastSequenceError)
    }
    const seen: string[] = []
    const outsider = await openOutsider(nats.url)
    await outsider.follow('SEVERAL', ({ seq, headers }) => seen.push(`${seq} ${headers['pos']}`))
    await until(() => seen.length === 1004)
    expect(seen).toEqual(Array.from({ length: 1004 }, (_, n) => `${n + 1} ${n + 1}`))
    expect(await stream.lastSeq()).toBe(1004n)
    await outsider.close()
  })

  test('of another epoch is made anew, from the number that it is told', async () => {
    const stream = bus.stream('EPOCHS')
    const epochs = { ...settings, subjects: ['bus.epochs.>'] }
    await stream.ensure({ ...epochs, epoch: 'e1' })
    await stream.publish([{ ...message(1), subject: 'bus.epochs.a' }], 0n)
    expect(await stream.ensure({ ...epochs, epoch: 'e1', firstSeq: 41n })).toBe(
      await stream.lastSeq(),
    )
    expect(await stream.lastSeq()).toBe(1n)
    expect(await stream.ensure({ ...epochs, epoch: 'e2', firstSeq: 41n })).toBe(40n)
    expect(await stream.lastSeq()).toBe(40n)
    await stream.publish([{ ...message(41), subject: 'bus.epochs.a' }], 40n)
    const seen: bigint[] = []
    const outsider = await openOutsider(nats.url)
    await outsider.follow('EPOCHS', ({ seq }) => seen.push(seq))
    await until(() => seen.length === 1)
    expect(seen).toEqual([41n])
    await outsider.close()
  })

  test('that is kept in another way is made anew, once', async () => {
    const stream = bus.stream('BEFORE')
    const outsider = await openOutsider(nats.url)
    await outsider.addStream('BEFORE', 'bus.before.a')
    await outsider.publish({ ...message(1), subject: 'bus.before.a' })
    await until(async () => (await stream.lastSeq()) === 1n)
    const before = { ...settings, subjects: ['bus.before.>'] }
    expect(await stream.ensure(before)).toBe(0n)
    await stream.publish([{ ...message(1), subject: 'bus.before.a' }], 0n)
    expect(await stream.ensure(before)).toBe(1n)
    await outsider.close()
  })

  test('that was deleted is missing, and deleting it again is no error', async () => {
    const stream = bus.stream('DELETED')
    await stream.ensure({ ...settings, subjects: ['bus.deleted.>'] })
    await stream.delete()
    await stream.delete()
    await expect(stream.lastSeq()).rejects.toBeInstanceOf(StreamMissingError)
  })

  test('whoever reads on under a name gets every message, in order, however often the server is killed', async () => {
    const stream = bus.stream('KILLED')
    const killed = { ...settings, subjects: ['bus.killed.>'] }
    await stream.ensure(killed)
    const outsider = await openOutsider(nats.url)
    const seen: string[] = []
    const end = await outsider.followOn('KILLED', 'siem', ({ seq, data }) =>
      seen.push(`${seq} ${text(data)}`),
    )
    const publishUpTo = async (last: number) => {
      for (let next = Number(await stream.ensure(killed)); next < last; ) {
        const messages = Array.from({ length: Math.min(500, last - next) }, (_, n) => ({
          ...message(next + 1 + n),
          subject: 'bus.killed.a',
        }))
        await stream.publish(messages, BigInt(next))
        next += messages.length
      }
    }
    for (let round = 1; round <= 4; round += 1) {
      await publishUpTo(round * 2_000)
      if (round % 2 === 0)
        await until(() => seen.at(-1) === `${round * 2_000} event ${round * 2_000}`)
      await nats.kill()
      await until(() => !bus.connected)
      await nats.start()
      await until(() => bus.connected)
    }
    await publishUpTo(9_000)
    await until(() => seen.at(-1) === '9000 event 9000')
    const wanted = Array.from({ length: 9_000 }, (_, n) => `${n + 1} event ${n + 1}`)
    expect([...new Set(seen)]).toEqual(wanted)
    end()
    await outsider.close()
  }, 60_000)

  test('can be published to again after a kill, a hang and a wipe of the server', async () => {
    const stream = bus.stream('AGAIN')
    const again = { ...settings, subjects: ['bus.again.>'] }
    const publish = async (seq: number) =>
      await stream.publish([{ ...message(seq), subject: 'bus.again.a' }], BigInt(seq - 1))
    await stream.ensure(again)
    for (let seq = 1; seq <= 5; seq += 1) await publish(seq)

    await nats.kill()
    await until(() => !bus.connected)
    await nats.start()
    await until(() => bus.connected)
    // What was taken last may be lost with the server.
    for (let seq = Number(await stream.lastSeq()) + 1; seq <= 6; seq += 1) await publish(seq)

    nats.freeze()
    await until(() => !bus.connected)
    nats.thaw()
    await until(() => bus.connected)
    await publish(7)

    await nats.wipe()
    await nats.start()
    await until(() => bus.connected)
    await stream.ensure(again)
    for (let seq = 1; seq <= 2; seq += 1) await publish(seq)
    expect(await stream.lastSeq()).toBe(2n)
  }, 60_000)
})
