import { once } from 'node:events'
import { createServer } from 'node:net'
import { type Bus, connectBus, StreamMissingError, WrongLastSequenceError } from '@postern/bus'
import { createKillableNats, type KillableNats } from '@postern/fixtures'
import { createMemoryLog, createSilentLog } from '@postern/telemetry/testing'
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest'

const bytes = (text: string) => Buffer.from(text)
const text = (data: Uint8Array) => Buffer.from(data).toString()
const connect = (url: string) => connectBus({ url, name: 'test', log: createSilentLog() })
const until = async (condition: () => boolean) =>
  await vi.waitFor(() => expect(condition()).toBe(true), { timeout: 10_000, interval: 10 })
const message = (seq: number) => ({
  subject: 'bus.test.event',
  headers: { pos: String(seq) },
  data: bytes(`event ${seq}`),
})

describe('core messages', () => {
  let bus: Bus
  beforeAll(async () => {
    bus = connect(inject('natsUrl'))
    await until(() => bus.connected)
  })
  afterAll(async () => {
    await bus.close()
  })

  test('a message reaches every subscriber until it ends', async () => {
    const seen: string[] = []
    const end = bus.subscribeCore('bus.core.*', (data) => seen.push(text(data)))
    bus.publishCore('bus.core.a', bytes('one'))
    await until(() => seen.length === 1)
    end()
    const last = bus.subscribeCore('bus.core.*', (data) => seen.push(`other ${text(data)}`))
    bus.publishCore('bus.core.a', bytes('two'))
    await until(() => seen.length === 2)
    expect(seen).toEqual(['one', 'other two'])
    last()
  })

  test('a request is answered, and one that nobody answers fails within its deadline', async () => {
    const end = bus.subscribeCore('bus.ask', (data, reply) => reply?.(bytes(`got ${text(data)}`)))
    const answer = await bus.request('bus.ask', bytes('it'), { timeoutMs: 2000 })
    expect(text(answer)).toBe('got it')
    end()
    await expect(bus.request('bus.ask', bytes('it'), { timeoutMs: 200 })).rejects.toThrow(Error)
  })

  test('a handler that fails does not end its subscription', async () => {
    let calls = 0
    const end = bus.subscribeCore('bus.fails', () => {
      calls += 1
      throw new Error('a fault of the handler')
    })
    bus.publishCore('bus.fails', bytes(''))
    bus.publishCore('bus.fails', bytes(''))
    await until(() => calls === 2)
    end()
  })
})

test('without a server nothing blocks or throws, and the problem is told', async () => {
  const bus = connect('nats://127.0.0.1:1')
  bus.publishCore('a', bytes(''))
  const end = bus.subscribeCore('a', () => undefined)
  expect(bus.connected).toBe(false)
  await expect(bus.request('a', bytes(''), { timeoutMs: 1000 })).rejects.toThrow(/not connected/)
  await expect(bus.stream('X').lastSeq()).rejects.toThrow(/not connected/)
  await until(() => bus.problem?.includes('cannot be reached') === true)
  end()
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
  await expect(bus.request('a', bytes(''), { timeoutMs: 100 })).rejects.toThrow(/upgrade it/)
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
    await stream.publish(message(1), 0n)
    await expect(stream.publish(message(1), 0n)).rejects.toBeInstanceOf(WrongLastSequenceError)
    await expect(stream.publish(message(3), 2n)).rejects.toBeInstanceOf(WrongLastSequenceError)
    await stream.ensure({ ...settings, maxAgeSeconds: 7200 })
    await stream.publish(message(2), 1n)
    expect(await stream.lastSeq()).toBe(2n)
  })

  test('of another epoch is made anew, from the number that it is told', async () => {
    const stream = bus.stream('EPOCHS')
    const epochs = { ...settings, subjects: ['bus.epochs.>'] }
    await stream.ensure({ ...epochs, epoch: 'e1' })
    await stream.publish({ ...message(1), subject: 'bus.epochs.a' }, 0n)
    await stream.ensure({ ...epochs, epoch: 'e1', firstSeq: 41n })
    expect(await stream.lastSeq()).toBe(1n)
    await stream.ensure({ ...epochs, epoch: 'e2', firstSeq: 41n })
    expect(await stream.lastSeq()).toBe(40n)
    await stream.publish({ ...message(41), subject: 'bus.epochs.a' }, 40n)
    const seen: bigint[] = []
    const end = stream.follow(0n, ({ seq }) => seen.push(seq))
    await until(() => seen.length === 1)
    expect(seen).toEqual([41n])
    end()
  })

  test('is followed in order and once, through a kill, a hang and a wipe of the server', async () => {
    const stream = bus.stream('FOLLOWED')
    const follow = { ...settings, subjects: ['bus.follow.>'] }
    const publish = async (seq: number) =>
      await stream.publish({ ...message(seq), subject: 'bus.follow.a' }, BigInt(seq - 1))
    await stream.ensure(follow)
    const seen: number[] = []
    const end = stream.follow(0n, ({ seq, data }) => {
      expect(text(data)).toBe(`event ${seq}`)
      seen.push(Number(seq))
    })
    for (let seq = 1; seq <= 5; seq += 1) await publish(seq)
    await until(() => seen.length === 5)

    await nats.kill()
    await until(() => !bus.connected)
    await nats.start()
    await until(() => bus.connected)
    for (let seq = 6; seq <= 8; seq += 1) await publish(seq)
    await until(() => seen.length === 8)

    nats.freeze()
    await until(() => !bus.connected)
    nats.thaw()
    await until(() => bus.connected)
    await publish(9)
    await until(() => seen.length === 9)

    await nats.wipe()
    await nats.start()
    await until(() => bus.connected)
    await stream.ensure(follow)
    for (let seq = 1; seq <= 11; seq += 1) await publish(seq)
    await until(() => seen.length === 11)
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    end()
  }, 60_000)
})
