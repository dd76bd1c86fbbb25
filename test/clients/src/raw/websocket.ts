import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { ClientWay } from '../ways.ts'
import { ByteReader } from './byte-reader.ts'
import { untilTaken } from './until-taken.ts'
import { askUpgrade } from './upgrade.ts'

const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** One end of RFC 6455 that reads a frame when it is asked for one, and not before. */
export type WebSocketClient = {
  /** What the server chose; "" for none. */
  readonly subprotocol: string
  readonly extensions: string
  /** Whole messages, then how it ended: the server's Close, or its lack. Pings are answered. */
  messages(): AsyncGenerator<Buffer, string>
  /** Resolves when the connection takes more. */
  send(payload: Buffer, opcode?: number): Promise<void>
  destroy(): void
}

/** @throws Error with status and text where it is refused */
export async function openWebSocket(
  way: ClientWay,
  path: string,
  options: {
    readonly protocols: readonly string[]
    readonly headers?: Readonly<Record<string, string>>
    readonly token?: boolean
  },
): Promise<WebSocketClient> {
  const { protocols, headers, token = true } = options
  const answer = await askUpgrade(way, {
    method: 'GET',
    path,
    token,
    headers: {
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'),
      ...(protocols.length > 0 && { 'sec-websocket-protocol': protocols.join(', ') }),
      ...headers,
    },
  })
  if (answer.kind === 'refused') throw new RefusedError(answer.status, answer.text)
  const { socket } = answer
  socket.on('error', () => {})
  return {
    subprotocol: String(answer.headers['sec-websocket-protocol'] ?? ''),
    extensions: String(answer.headers['sec-websocket-extensions'] ?? ''),
    messages: () => messagesOf(socket),
    send: (payload, opcode = Opcode.binary) => send(socket, opcode, payload),
    destroy: () => socket.destroy(),
  }
}

export class RefusedError extends Error {
  override readonly name = 'RefusedError'
  readonly status: number

  constructor(status: number, text: string) {
    super(`${status} ${text}`)
    this.status = status
  }
}

async function send(socket: Duplex, opcode: number, payload: Buffer): Promise<void> {
  if (!socket.writable) return
  if (socket.write(clientFrame(opcode, payload))) return
  await untilTaken(socket)
}

async function* messagesOf(socket: Duplex): AsyncGenerator<Buffer, string> {
  const reader = new ByteReader(socket)
  let fragments: Buffer[] = []
  for (;;) {
    const frame = await readFrame(reader)
    if (frame === undefined) {
      return reader.broken === undefined ? 'ended without Close' : 'broken off'
    }
    const { opcode, final, payload } = frame
    if (opcode === Opcode.close) {
      const code = payload.length >= 2 ? String(payload.readUInt16BE(0)) : 'no code'
      await send(socket, Opcode.close, payload)
      socket.end()
      return `Close ${code} ${payload.subarray(2).toString()}`.trim()
    }
    if (opcode === Opcode.ping) await send(socket, Opcode.pong, payload)
    if (opcode >= Opcode.close) continue
    fragments.push(payload)
    if (!final) continue
    yield Buffer.concat(fragments)
    fragments = []
  }
}

async function readFrame(reader: ByteReader) {
  const start = await reader.take(2)
  if (start === undefined) return undefined
  const [first = 0, second = 0] = start
  const length = await readLength(reader, second & 0x7f)
  if (length === undefined) return undefined
  const payload = await reader.take(length)
  if (payload === undefined) return undefined
  return { opcode: first & 0x0f, final: (first & 0x80) !== 0, payload }
}

async function readLength(reader: ByteReader, short: number): Promise<number | undefined> {
  if (short < 126) return short
  const long = await reader.take(short === 126 ? 2 : 8)
  if (long === undefined) return undefined
  return short === 126 ? long.readUInt16BE(0) : Number(long.readBigUInt64BE(0))
}

function clientFrame(opcode: number, payload: Buffer): Buffer {
  const mask = randomBytes(4)
  const masked = Buffer.from(payload)
  for (let at = 0; at < masked.length; at++) {
    masked[at] = (masked[at] ?? 0) ^ (mask[at % 4] ?? 0)
  }
  return Buffer.concat([frameHead(opcode, payload.length), mask, masked])
}

function frameHead(opcode: number, length: number): Buffer {
  if (length < 126) return Buffer.from([0x80 | opcode, 0x80 | length])
  const head = Buffer.alloc(length < 0x1_0000 ? 4 : 10)
  head[0] = 0x80 | opcode
  head[1] = 0x80 | (length < 0x1_0000 ? 126 : 127)
  if (length < 0x1_0000) head.writeUInt16BE(length, 2)
  else head.writeBigUInt64BE(BigInt(length), 2)
  return head
}
