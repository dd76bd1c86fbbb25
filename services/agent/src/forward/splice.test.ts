import { type Duplex, duplexPair } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { splice } from './splice.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** Gateway and cluster, at the outer ends of a splice. */
function spliced() {
  const [gateway, left]: Duplex[] = duplexPair()
  const [cluster, right]: Duplex[] = duplexPair()
  if (!gateway || !left || !cluster || !right) throw new Error('duplexPair made no pair')
  for (const end of [gateway, left, cluster, right]) end.on('error', () => {})
  let isOver = false
  void splice(left, right).then(() => {
    isOver = true
  })
  return { gateway, cluster, left, right, isOver: () => isOver }
}

async function turns(): Promise<void> {
  for (let times = 0; times < 20; times += 1) await setImmediate()
}

test('one direction may end long before the other', async () => {
  const { gateway, cluster, isOver } = spliced()
  gateway.end('the whole of stdin')
  expect(Buffer.concat(await cluster.toArray()).toString()).toBe('the whole of stdin')
  const heard: string[] = []
  gateway.on('data', (chunk: Buffer) => heard.push(String(chunk)))
  for (let minute = 1; minute <= 10; minute += 1) {
    cluster.write(`minute ${minute};`)
    await turns()
    vi.advanceTimersByTime(4_000)
    await turns()
  }
  expect(isOver()).toBe(false)
  expect(heard.join('')).toContain('minute 1;minute 2;')
  expect(heard.join('')).toContain('minute 10;')
  cluster.end()
  await turns()
  expect(isOver()).toBe(true)
})

test('once one direction has ended and the other is quiet, both close', async () => {
  const { gateway, cluster, isOver } = spliced()
  gateway.resume()
  cluster.end('all there is')
  await turns()
  vi.advanceTimersByTime(5_000)
  await turns()
  expect(isOver()).toBe(true)
})

test('a reader that is behind is waited for, although the source has ended', async () => {
  const { gateway, cluster, isOver } = spliced()
  const bytes = 300 * 1024
  cluster.end(Buffer.alloc(bytes, 'x'))
  for (let times = 0; times < 5; times += 1) {
    vi.advanceTimersByTime(60_000)
    await turns()
  }
  expect(isOver()).toBe(false)
  expect(Buffer.concat(await gateway.toArray())).toHaveLength(bytes)
})

test('an end stays an end when what is sent the other way fails', async () => {
  const { gateway, cluster, right, left } = spliced()
  const bytes = 300 * 1024
  cluster.end(Buffer.alloc(bytes, 'x'))
  const received: Buffer[] = []
  // As far as the cluster's end, but not to the end of what waits for the gateway.
  while (!right.readableEnded) {
    const chunk: unknown = gateway.read()
    if (Buffer.isBuffer(chunk)) received.push(chunk)
    await setImmediate()
  }
  expect(left.writableLength).toBeGreaterThan(0)
  right.destroy(new Error('write EPIPE'))
  received.push(...(await gateway.toArray()))
  expect(Buffer.concat(received)).toHaveLength(bytes)
})

test.each(['left', 'right'] as const)(
  'what breaks on the %s, breaks on the other side',
  async (side) => {
    const { [side]: end, left, right, isOver } = spliced()
    end.destroy(new Error('read ECONNRESET'))
    await turns()
    expect(isOver()).toBe(true)
    expect([left.readableEnded, right.readableEnded]).toEqual([false, false])
  },
)
