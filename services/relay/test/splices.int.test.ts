import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { readSlowly, sendAll } from '@postern/fixtures'
import { createMetrics } from '@postern/telemetry'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createSplices, type Splices } from '../src/port/splices.ts'
import { createRelaySignals } from '../src/signals.ts'
import { dialRaw, listening, until } from './tunnel-fixture.ts'

const MIB = 1 << 20
let server: Server
let splices: Splices
const sockets: Socket[] = []

beforeEach(() => {
  server = createServer({ allowHalfOpen: true, noDelay: true, highWaterMark: 256 * 1024 })
  splices = createSplices(16, createRelaySignals(createMetrics('relay')))
})
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  server.close()
})

/** The outer ends of a splice. */
async function spliced(): Promise<{ agent: Socket; gateway: Socket; inner: [Socket, Socket] }> {
  const address = server.listening ? addressOf(server) : await listening(server)
  const [agent, first] = await connected(address)
  const [gateway, second] = await connected(address)
  splices.join('pair', first, second)
  return { agent, gateway, inner: [first, second] }
}

async function connected(address: string): Promise<[Socket, Socket]> {
  const accepted: Promise<Socket[]> = once(server, 'connection')
  const outer = dialRaw(address)
  const [inner] = await accepted
  if (inner === undefined) throw new Error('nothing was accepted')
  inner.on('error', () => {})
  sockets.push(outer, inner)
  return [outer, inner]
}

function addressOf(listener: Server): string {
  const address = listener.address()
  if (typeof address !== 'object' || address === null) throw new Error('not a TCP server')
  return `127.0.0.1:${address.port}`
}

test('both directions pass slow readers byte for byte at the same time', async () => {
  const { agent, gateway } = await spliced()
  const [sentUp, sentDown, gotUp, gotDown] = await Promise.all([
    sendAll(agent, 100 * MIB),
    sendAll(gateway, 100 * MIB),
    readSlowly(gateway),
    readSlowly(agent),
  ])
  expect(gotUp).toBe(sentUp)
  expect(gotDown).toBe(sentDown)
  await until(() => splices.count === 0)
})

test('nothing is lost when the source has ended while nobody read', async () => {
  const { agent, gateway, inner } = await spliced()
  gateway.pause()
  const chunk = randomBytes(2 * MIB)
  agent.end(chunk)
  await until(() => inner[0].isPaused() || inner[0].readableEnded)
  const got = await gateway.toArray()
  expect(Buffer.concat(got).equals(chunk)).toBe(true)
})

test('a reader that does not read holds up its sender, and bounds what is held', async () => {
  const { agent, gateway, inner } = await spliced()
  gateway.pause()
  const chunk = Buffer.alloc(MIB)
  let written = 0
  const push = () => {
    while (written < 256 && agent.write(chunk)) written += 1
  }
  agent.on('drain', push)
  push()
  await until(() => inner[0].isPaused())
  expect(inner[1].writableLength).toBeLessThan(512 * 1024)
  expect(agent.writableNeedDrain).toBe(true)
})

test('an end goes on while the other direction still carries', async () => {
  const { agent, gateway } = await spliced()
  agent.end('stdin')
  expect(Buffer.concat(await gateway.toArray()).toString()).toBe('stdin')
  gateway.end('and the answer')
  expect(Buffer.concat(await agent.toArray()).toString()).toBe('and the answer')
  await until(() => splices.count === 0)
})

test('what was cut never looks complete', async () => {
  const { agent, gateway } = await spliced()
  agent.write('half')
  await once(gateway, 'data')
  const failed = once(gateway, 'error')
  agent.resetAndDestroy()
  const [error] = await failed
  expect(error).toMatchObject({ code: 'ECONNRESET' })
  expect(gateway.readableEnded).toBe(false)
  await until(() => splices.count === 0)
})
