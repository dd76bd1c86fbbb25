import { duplexPair } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import type { MuxSession } from './api.ts'
import { MuxClosedError } from './errors.ts'
import { WINDOW_BYTES } from './frame.ts'
import { createMuxSession } from './session.ts'
import { accepted, bytesOf, createMuxPair, listen, sendAll, until } from './testing.ts'

const NOTHING = Buffer.alloc(0)
const open: MuxSession[] = []
afterEach(() => {
  for (const session of open.splice(0)) session.close('the test is over')
})

function pair(limits: Parameters<typeof createMuxPair>[0] = {}) {
  const made = createMuxPair(limits)
  open.push(made.client, made.server)
  return made
}

test('a request and its answer pass, each with its head', async () => {
  const { client, server } = pair()
  server.onStream((stream, head) => {
    const heard = listen(stream, {
      onEnd() {
        stream.sendHead(Buffer.from(`to ${head.toString()}`))
        stream.write(Buffer.concat(heard.data))
        stream.end()
      },
    })
  })
  const stream = client.open(Buffer.from('GET'))
  const heard = listen(stream)
  stream.write(Buffer.from('body'))
  stream.end()
  await until(() => heard.closed)
  expect(heard).toMatchObject({ head: 'to GET', ended: true })
  expect(heard.error).toBeUndefined()
  expect(Buffer.concat(heard.data).toString()).toBe('body')
  expect([client.streams, server.streams]).toEqual([0, 0])
})

describe('the end', () => {
  test('travels behind everything written, to a reader that was not reading', async () => {
    const { client, server } = pair()
    const incoming = accepted(server)
    const stream = client.open(NOTHING)
    const size = 3 * WINDOW_BYTES
    const { pump } = sendAll(stream, size)
    listen(stream, { onDrain: pump })
    pump()
    const { stream: source } = await incoming
    source.pause()
    const heard = listen(source)
    await setImmediate()
    expect(heard.ended).toBe(false)
    source.resume()
    await until(() => heard.ended)
    expect(bytesOf(heard)).toBe(size)
  })

  test('of a source that ends and drains its connection at once loses nothing', async () => {
    const { client, server } = pair()
    server.onStream((stream) => {
      listen(stream)
      stream.sendHead(NOTHING)
      stream.write(Buffer.alloc(WINDOW_BYTES, 1))
      stream.end()
      server.goAway('done')
    })
    const stream = client.open(NOTHING)
    stream.end()
    stream.pause()
    const heard = listen(stream)
    expect(await client.closed).toMatchObject({ clean: true })
    expect(heard).toMatchObject({ data: [], ended: false, closed: false })
    stream.resume()
    await until(() => heard.closed)
    expect(bytesOf(heard)).toBe(WINDOW_BYTES)
    expect(heard.error).toBeUndefined()
  })

  test('is not heard by a reader that is paused, even if nothing else waits', async () => {
    const { client, server } = pair()
    const incoming = accepted(server)
    client.open(NOTHING).end()
    const { stream } = await incoming
    stream.pause()
    const heard = listen(stream)
    for (let turns = 0; turns < 5; turns += 1) await setImmediate()
    expect(heard.ended).toBe(false)
    stream.resume()
    expect(heard.ended).toBe(true)
  })

  test('never comes when the connection breaks in the middle', async () => {
    const { client, server, cut } = pair()
    const incoming = accepted(server)
    const stream = client.open(NOTHING)
    const sender = listen(stream)
    stream.write(Buffer.alloc(1000))
    const heard = listen((await incoming).stream)
    await until(() => bytesOf(heard) === 1000)
    cut()
    await until(() => heard.closed && sender.closed)
    expect(heard.ended).toBe(false)
    expect(heard.error).toBeInstanceOf(MuxClosedError)
    expect(sender.error).toBeInstanceOf(MuxClosedError)
  })
})

describe('a reset', () => {
  test('drops what waits, on both sides, with its code and text', async () => {
    const { client, server } = pair()
    const incoming = accepted(server)
    const stream = client.open(NOTHING)
    const sender = listen(stream)
    stream.write(Buffer.alloc(2 * WINDOW_BYTES))
    const { stream: source } = await incoming
    source.pause()
    const heard = listen(source)
    stream.reset('cancelled', 'the user left')
    expect(sender.error).toMatchObject({ code: 'cancelled', by: 'us' })
    await until(() => heard.closed)
    expect(heard.error).toMatchObject({ code: 'cancelled', by: 'peer', message: 'the user left' })
    expect(heard.data).toEqual([])
    expect([client.streams, server.streams]).toEqual([0, 0])
    expect(client.state).toBe('open')
  })

  test('of 20 stalled downloads leaves the others undisturbed', async () => {
    const { client, server } = pair()
    let pumped = 0
    server.onStream((stream, head) => {
      stream.sendHead(NOTHING)
      const { pump, progress } = sendAll(stream, Number(head))
      listen(stream, {
        onDrain: pump,
        onClose: () => {
          pumped += progress.written
        },
      })
      pump()
    })
    const stalled = Array.from({ length: 20 }, () => client.open(Buffer.from(`${1 << 30}`)))
    for (const stream of stalled) {
      stream.pause()
      listen(stream)
    }
    await setImmediate()
    const fetch = async () => {
      const stream = client.open(Buffer.from(`${1 << 20}`))
      stream.end()
      const heard = listen(stream)
      await until(() => heard.closed)
      expect(bytesOf(heard)).toBe(1 << 20)
    }
    await fetch()
    for (const stream of stalled) stream.reset('cancelled')
    await fetch()
    expect([client.streams, server.streams]).toEqual([0, 0])
    // Nobody went on pumping into the dead streams.
    expect(pumped).toBeLessThan(20 * 3 * WINDOW_BYTES + 2 * (1 << 20) + 1)
  })

  test('of an upload that nobody reads lets the answer through whole', async () => {
    const { client, server } = pair()
    const unread: Buffer[] = []
    server.onStream((stream) => {
      listen(stream, { onData: (chunk) => unread.push(chunk) })
      stream.discard()
      stream.sendHead(Buffer.from('413'))
      stream.write(Buffer.from('too large'))
      stream.end()
    })
    const stream = client.open(NOTHING)
    const { pump, progress } = sendAll(stream, 100 << 20)
    const heard = listen(stream, { onDrain: pump })
    pump()
    await until(() => heard.closed)
    expect(heard).toMatchObject({ head: '413', ended: true })
    expect(heard.error).toBeUndefined()
    expect(Buffer.concat(heard.data).toString()).toBe('too large')
    expect(unread).toEqual([])
    // Its writer is not left waiting: what it still writes goes nowhere.
    expect(progress.written).toBe(100 << 20)
    expect([client.streams, server.streams]).toEqual([0, 0])
  })
})

describe('going away', () => {
  test('lets streams end, takes no new ones, and closes clean', async () => {
    const { client, server } = pair()
    const incoming = accepted(server)
    const stream = client.open(NOTHING)
    const heard = listen(stream)
    const { stream: source } = await incoming
    listen(source)
    server.goAway('restart')
    await until(() => client.state === 'draining')
    expect(() => client.open(NOTHING)).toThrow(MuxClosedError)
    source.sendHead(NOTHING)
    source.write(Buffer.from('last words'))
    source.end()
    stream.end()
    expect(await client.closed).toMatchObject({ clean: true })
    expect(await server.closed).toMatchObject({ clean: true })
    expect(Buffer.concat(heard.data).toString()).toBe('last words')
  })

  test('a stream opened at the same moment is refused: nothing was done with it', async () => {
    const { client, server } = pair()
    server.onStream((stream) => void listen(stream))
    server.goAway()
    const heard = listen(client.open(NOTHING))
    await until(() => heard.closed)
    expect(heard.error).toMatchObject({ code: 'refused', by: 'peer' })
  })
})

describe('a silent connection', () => {
  test('is given up after two pings without an answer, and its streams with a reason', async () => {
    const [a, b] = duplexPair()
    b.resume()
    let tick: () => void = () => {}
    const session = createMuxSession(a, {
      role: 'client',
      every(_interval, task) {
        tick = task
        return () => {}
      },
    })
    const heard = listen(session.open(NOTHING))
    tick()
    tick()
    expect(session.state).toBe('open')
    tick()
    expect(session.state).toBe('closed')
    expect(heard.error?.message).toBe('the other side is silent')
  })

  test('that answers pings lives', async () => {
    const { client } = pair({ pingIntervalMs: 2 })
    for (let turns = 0; turns < 2000; turns += 1) await setImmediate()
    expect(client.state).toBe('open')
  })
})
