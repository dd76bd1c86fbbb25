import { createServer, connect as netConnect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import {
  decodeLines,
  decodeRequestHead,
  encodeResponseHead,
  type HeaderLines,
  type RequestHead,
} from '@postern/kube-http'
import { createMuxSession, type MuxSession, type MuxStream, toDuplex } from '@postern/mux'
import { readExactly } from '../../src/request/read-exactly.ts'

/** One plain request as the recording agent got it, and how to answer it. */
export type Received = {
  readonly head: RequestHead
  readonly body: Duplex
  /** Resolves with the whole body. */
  readonly content: Promise<Buffer>
  readonly closed: Promise<void>
  respond(status: number, headers: HeaderLines): Duplex
}

/** Plays the agent's side of the mux and of upgrade connections, and keeps every head. */
export async function startAgent() {
  const heads: RequestHead[] = []
  const handlers = {
    request: (received: Received): void => {
      received.respond(200, [['Content-Type', 'application/json']]).end('{}')
    },
    upgrade: (_head: RequestHead, socket: Socket): void => {
      socket.end(withLength(encodeResponseHead({ status: 403, headers: [] })))
    },
  }
  const open = new Set<Socket>()
  let ends: MuxSession[] = []
  const muxServer = await listen((socket) => {
    open.add(socket)
    const session = createMuxSession(socket, { role: 'server' })
    ends.push(session)
    session.onStream((stream, encoded) => {
      const head = decodeRequestHead(encoded, decodeLines)
      heads.push(head)
      handlers.request(toReceived(head, stream))
    })
  })
  const upgradeServer = await listen((socket) => {
    open.add(socket)
    socket.on('error', () => {})
    readUpgradeHead(socket).then(
      (head) => {
        heads.push(head)
        handlers.upgrade(head, socket)
      },
      () => socket.destroy(),
    )
  })
  let current: MuxSession | undefined
  return {
    heads,
    handlers,
    session(): MuxSession {
      if (current?.state === 'open') return current
      const socket = netConnect(muxServer.port, '127.0.0.1')
      open.add(socket)
      current = createMuxSession(socket, { role: 'client' })
      return current
    },
    async upgradeSocket(): Promise<TLSSocket> {
      const socket = netConnect({
        port: upgradeServer.port,
        host: '127.0.0.1',
        allowHalfOpen: true,
      })
      open.add(socket)
      // What the gateway uses of it, a plain socket has as well.
      return socket as unknown as TLSSocket
    },
    /** The connection to the agent breaks. */
    cut() {
      for (const socket of open) socket.destroy()
      ends = []
    },
    async close() {
      for (const end of ends) end.close('test over')
      for (const socket of open) socket.destroy()
      await Promise.all([muxServer.close(), upgradeServer.close()])
    },
  }
}

function toReceived(head: RequestHead, stream: MuxStream): Received {
  const { body } = toDuplex(stream)
  body.on('error', () => {})
  const chunks: Buffer[] = []
  return {
    head,
    body,
    get content() {
      return new Promise<Buffer>((resolve) => {
        body.on('data', (chunk: Buffer) => chunks.push(chunk))
        body.on('end', () => resolve(Buffer.concat(chunks)))
      })
    },
    closed: new Promise((resolve) => body.once('close', () => resolve())),
    respond(status, headers) {
      stream.sendHead(encodeResponseHead({ status, headers }))
      body.resume()
      return body
    },
  }
}

async function readUpgradeHead(socket: Socket): Promise<RequestHead> {
  const length = (await readExactly(socket, 4, 5_000)).readUInt32BE(0)
  return decodeRequestHead(await readExactly(socket, length, 5_000), decodeLines)
}

export function withLength(head: Buffer): Buffer {
  const prefix = Buffer.alloc(4)
  prefix.writeUInt32BE(head.length)
  return Buffer.concat([prefix, head])
}

async function listen(onConnection: (socket: Socket) => void) {
  const server = createServer({ allowHalfOpen: true }, onConnection)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { port, close: () => new Promise<void>((resolve) => server.close(() => resolve())) }
}
