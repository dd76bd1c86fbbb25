import { once } from 'node:events'
import { connect } from 'node:tls'

/** A header list as it is to be written: no library looks at it. */
export type HeaderList = readonly (readonly [string, string])[]

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const Type = { data: 0, headers: 1, reset: 3, settings: 4, goAway: 7 } as const
const END_STREAM = 1
const END_HEADERS = 4
const ACK = 1
const STREAM = 1
const FRAME_HEAD_BYTES = 9
const CONNECT_MS_MAX = 60_000
const ANSWER_MS_MAX = 5_000

/**
 * One request over HTTP/2, written by hand (RFC 9113, RFC 7541): uppercase names, pseudo-headers that
 * do not exist, trailers. Resolves once the stream is over, whatever became of it.
 */
export async function sendRawHttp2(order: {
  readonly port: number
  readonly ca: string
  readonly headers: HeaderList
  readonly body?: Buffer
  readonly trailers?: HeaderList
}): Promise<void> {
  const { port, ca, headers, body, trailers } = order
  const tls = { host: '127.0.0.1', port, ca, servername: 'localhost', ALPNProtocols: ['h2'] }
  const socket = connect(tls)
  socket.on('error', () => {})
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(CONNECT_MS_MAX) })
    const isLast = (last: boolean) => (last ? END_STREAM : 0)
    const hasMore = body !== undefined || trailers !== undefined
    socket.write(PREFACE)
    socket.write(frame(Type.settings, 0, 0, Buffer.alloc(0)))
    socket.write(frame(Type.headers, END_HEADERS | isLast(!hasMore), STREAM, encoded(headers)))
    if (body !== undefined) {
      socket.write(frame(Type.data, isLast(trailers === undefined), STREAM, body))
    }
    if (trailers !== undefined) {
      socket.write(frame(Type.headers, END_HEADERS | END_STREAM, STREAM, encoded(trailers)))
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ANSWER_MS_MAX)
      const over = () => {
        clearTimeout(timer)
        resolve()
      }
      let unread = Buffer.alloc(0)
      socket.on('data', (chunk: Buffer) => {
        unread = Buffer.concat([unread, chunk])
        for (let seen = firstFrame(unread); seen !== undefined; seen = firstFrame(unread)) {
          unread = unread.subarray(seen.bytes)
          if (seen.type === Type.settings && (seen.flags & ACK) === 0) {
            socket.write(frame(Type.settings, ACK, 0, Buffer.alloc(0)))
          }
          if (isEnd(seen)) over()
        }
      })
      socket.on('close', over)
      socket.on('end', over)
    })
  } finally {
    socket.destroy()
  }
}

function isEnd({ type, flags, stream }: { type: number; flags: number; stream: number }): boolean {
  if (type === Type.goAway) return true
  if (stream !== STREAM) return false
  if (type === Type.reset) return true
  return (type === Type.headers || type === Type.data) && (flags & END_STREAM) !== 0
}

function firstFrame(bytes: Buffer) {
  if (bytes.length < FRAME_HEAD_BYTES) return undefined
  const total = FRAME_HEAD_BYTES + bytes.readUIntBE(0, 3)
  if (bytes.length < total) return undefined
  const stream = bytes.readUInt32BE(5) & 0x7fffffff
  return { bytes: total, type: bytes.readUInt8(3), flags: bytes.readUInt8(4), stream }
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** Each field as a literal without indexing, and without Huffman (RFC 7541, 6.2.2). */
function encoded(headers: HeaderList): Buffer {
  const fields = headers.map(([name, value]) =>
    Buffer.concat([Buffer.from([0]), text(name), text(value)]),
  )
  return Buffer.concat(fields)
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1')
  return Buffer.concat([integer(bytes.length), bytes])
}

/** RFC 7541, 5.1, with a prefix of seven bits. */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.from([value])
  const bytes = [127]
  let rest = value - 127
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128)
  return Buffer.from([...bytes, rest])
}
