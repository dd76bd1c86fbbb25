import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** A wire between two parties that a test may listen to, hold up, damage or break. */
export type TcpProxy = {
  readonly address: string
  /** Everything that went through, both ways, up to 64 MiB of it. */
  seen(): Buffer
  /** How much went through, both ways. */
  readonly bytes: number
  /** A black hole: connections stay open and take what is sent, new ones too; nothing arrives, nobody is told. */
  freeze(): void
  thaw(): void
  /** A black hole for the oldest of the connections that are open; the others and new ones are carried. */
  hangOldest(): void
  /** How many connections are open. */
  readonly open: number
  /** From now on one bit of what goes to the target is another. */
  damage(how: boolean): void
  /** From now on everything takes so long, more or less by the jitter at most; the order stays. */
  delay(how: { readonly latencyMs: number; readonly jitterMs: number }): void
  /** Resets every connection. New ones are carried as before. */
  cut(): void
  /** The target learns that its connections have ended; the clients do not, and are not heard any more. */
  halfOpen(): void
  close(): Promise<void>
}

const SEEN_BYTES_MAX = 64 * 1024 * 1024
/** What may be on its way in one direction of a connection. */
const UNDER_WAY_BYTES_MAX = 1024 * 1024

/** What the wire does to what it carries. */
type Faults = {
  isFrozen: boolean
  isDamaging: boolean
  latencyMs: number
  jitterMs: number
}

type Pair = {
  readonly client: Socket
  readonly upstream: Socket
  isHalfOpen: boolean
  isHung: boolean
}

export async function startTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const pairs = new Set<Pair>()
  const seen: Buffer[] = []
  let bytes = 0
  const faults: Faults = { isFrozen: false, isDamaging: false, latencyMs: 0, jitterMs: 0 }
  const note = (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= SEEN_BYTES_MAX) seen.push(chunk)
  }
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({ ...target, allowHalfOpen: true, noDelay: true })
    const pair: Pair = { client, upstream, isHalfOpen: false, isHung: false }
    pairs.add(pair)
    const over = () => {
      if (!pair.isHalfOpen) for (const socket of [client, upstream]) socket.destroy()
      if (client.destroyed && upstream.destroyed) pairs.delete(pair)
    }
    for (const socket of [client, upstream]) {
      socket.on('error', () => {})
      socket.once('close', over)
    }
    const isHeld = () => faults.isFrozen || pair.isHung
    carry(client, upstream, { faults, isHeld }, (chunk) => {
      note(chunk)
      return faults.isDamaging ? damaged(chunk) : chunk
    })
    carry(upstream, client, { faults, isHeld }, (chunk) => {
      note(chunk)
      return chunk
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  const sockets = () => [...pairs].flatMap(({ client, upstream }) => [client, upstream])
  return {
    address: `127.0.0.1:${address.port}`,
    seen: () => Buffer.concat(seen),
    get bytes() {
      return bytes
    },
    freeze() {
      faults.isFrozen = true
      for (const socket of sockets()) socket.pause()
    },
    thaw() {
      faults.isFrozen = false
      for (const socket of sockets()) socket.resume()
    },
    hangOldest() {
      const [pair] = pairs
      if (pair === undefined) throw new Error('no connection is open')
      pair.isHung = true
      for (const socket of [pair.client, pair.upstream]) socket.pause()
    },
    get open() {
      return pairs.size
    },
    damage(how) {
      faults.isDamaging = how
    },
    delay: (how) => void Object.assign(faults, how),
    cut() {
      for (const socket of sockets()) socket.resetAndDestroy()
    },
    halfOpen() {
      for (const pair of pairs) {
        pair.isHalfOpen = true
        pair.upstream.destroy()
        // What it still says is taken, and goes nowhere.
        pair.client.resume()
      }
    },
    async close() {
      for (const socket of sockets()) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** One direction. */
function carry(
  from: Socket,
  to: Socket,
  { faults, isHeld }: { readonly faults: Faults; readonly isHeld: () => boolean },
  change: (chunk: Buffer) => Buffer,
): void {
  let underWayBytes = 0
  const line = createLine(faults)
  const goOn = () => {
    if (underWayBytes <= UNDER_WAY_BYTES_MAX && !to.writableNeedDrain && !isHeld()) {
      from.resume()
    }
  }
  if (isHeld()) from.pause()
  from.on('data', (chunk: Buffer) => {
    underWayBytes += chunk.length
    if (underWayBytes > UNDER_WAY_BYTES_MAX) from.pause()
    line.later(() => {
      underWayBytes -= chunk.length
      if (to.writable && !to.write(change(chunk))) from.pause()
      goOn()
    })
  })
  to.on('drain', goOn)
  from.on('end', () => line.later(() => to.end()))
}

/** Does things after the latency of that moment, one after the other: what was sent first arrives first. */
function createLine(faults: Faults): { later(task: () => void): void } {
  const waiting: { readonly dueAt: number; readonly task: () => void }[] = []
  const deliver = () => {
    for (;;) {
      const [next] = waiting
      if (next === undefined) return
      const inMs = next.dueAt - performance.now()
      if (inMs > 0) {
        setTimeout(deliver, inMs)
        return
      }
      waiting.shift()
      next.task()
    }
  }
  return {
    later(task) {
      const jitterMs = (2 * Math.random() - 1) * faults.jitterMs
      waiting.push({ dueAt: performance.now() + faults.latencyMs + jitterMs, task })
      if (waiting.length === 1) deliver()
    },
  }
}

function damaged(chunk: Buffer): Buffer {
  const copy = Buffer.from(chunk)
  const middle = copy.length >> 1
  copy.writeUInt8(copy.readUInt8(middle) ^ 1, middle)
  return copy
}
