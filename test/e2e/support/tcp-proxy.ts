import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** A wire between two parties that a test may listen to, hold up or damage. */
export type TcpProxy = {
  readonly address: string
  /** Everything that went through, both ways. */
  seen(): Buffer
  /** Connections stay open and take what is sent; nothing arrives any more. */
  freeze(): void
  thaw(): void
  /** From now on one bit of what goes to the target is another. */
  damage(how: boolean): void
  close(): Promise<void>
}

const SEEN_BYTES_MAX = 64 * 1024 * 1024

export async function startTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  const seen: Buffer[] = []
  let seenBytes = 0
  let isFrozen = false
  let isDamaging = false
  const note = (chunk: Buffer) => {
    seenBytes += chunk.length
    if (seenBytes <= SEEN_BYTES_MAX) seen.push(chunk)
  }
  const server = createServer((client) => {
    const upstream = connect(target.port, target.host)
    const carry = (from: Socket, to: Socket, change: (chunk: Buffer) => Buffer) => {
      sockets.add(from)
      if (isFrozen) from.pause()
      from.on('data', (chunk: Buffer) => {
        note(chunk)
        to.write(change(chunk))
      })
      from.on('end', () => to.end())
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
    carry(client, upstream, (chunk) => (isDamaging ? damaged(chunk) : chunk))
    carry(upstream, client, (chunk) => chunk)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  return {
    address: `127.0.0.1:${address.port}`,
    seen: () => Buffer.concat(seen),
    freeze() {
      isFrozen = true
      for (const socket of sockets) socket.pause()
    },
    thaw() {
      isFrozen = false
      for (const socket of sockets) socket.resume()
    },
    damage(how) {
      isDamaging = how
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function damaged(chunk: Buffer): Buffer {
  const copy = Buffer.from(chunk)
  const middle = copy.length >> 1
  copy.writeUInt8(copy.readUInt8(middle) ^ 1, middle)
  return copy
}
