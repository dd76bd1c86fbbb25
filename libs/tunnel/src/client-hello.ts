/** What a relay needs to know of a TLS ClientHello (RFC 8446 4.1.2), or why it is none. */
export type ClientHello =
  | { readonly status: 'more' }
  | { readonly status: 'bad'; readonly reason: string }
  | {
      readonly status: 'hello'
      /** Lower case; undefined when the client named none. */
      readonly serverName: string | undefined
      readonly protocols: readonly string[]
      /** Everything read so far, for the one who is to answer it. */
      readonly bytes: Buffer
    }

export type ClientHelloReader = {
  /** Call until it answers something other than `more`; not after that. */
  push(chunk: Buffer): ClientHello
}

export const CLIENT_HELLO_BYTES_MAX = 16 * 1024

const RECORD_HEADER_BYTES = 5
const RECORD_BYTES_MAX = 16 * 1024
const HANDSHAKE = 22
const CLIENT_HELLO = 1
const SERVER_NAME_EXTENSION = 0
const ALPN_EXTENSION = 16
const HOST_NAME = 0
const HOST = /^[a-z0-9._-]{1,253}$/

/** Reads a ClientHello that comes in pieces: of TCP, and of TLS records. Never looks at a byte twice. */
export function createClientHelloReader(): ClientHelloReader {
  const raw = growingBuffer()
  const hello = growingBuffer()
  const header = growingBuffer()
  let recordMissing = 0

  /** Moves one piece of the input on. Answers how long it was, or what is wrong. */
  function step(input: Buffer): number | string {
    if (recordMissing === 0) {
      const taken = Math.min(input.length, RECORD_HEADER_BYTES - header.length())
      header.push(input.subarray(0, taken))
      if (header.length() < RECORD_HEADER_BYTES) return taken
      const bytes = header.take()
      recordMissing = bytes.readUInt16BE(3)
      if (bytes[0] !== HANDSHAKE || bytes[1] !== 3) return 'not a TLS handshake'
      if (recordMissing === 0 || recordMissing > RECORD_BYTES_MAX) return 'a bad record length'
      return taken
    }
    const taken = Math.min(input.length, recordMissing)
    hello.push(input.subarray(0, taken))
    recordMissing -= taken
    return taken
  }

  return {
    push(chunk) {
      const room = CLIENT_HELLO_BYTES_MAX - raw.length()
      const input = chunk.subarray(0, room)
      raw.push(input)
      let at = 0
      while (at < input.length) {
        const taken = step(input.subarray(at))
        if (typeof taken === 'string') return { status: 'bad', reason: taken }
        at += taken
        const message = completeMessage(hello.bytes())
        if (message === 'bad') return { status: 'bad', reason: 'not a ClientHello' }
        if (message === undefined) continue
        const bytes = Buffer.concat([raw.bytes(), chunk.subarray(input.length)])
        return parseClientHello(message, bytes)
      }
      if (raw.length() >= CLIENT_HELLO_BYTES_MAX) return { status: 'bad', reason: 'too large' }
      return { status: 'more' }
    },
  }
}

/** The body of the handshake message, once all of it is there. */
function completeMessage(bytes: Buffer): Buffer | 'bad' | undefined {
  if (bytes.length > 0 && bytes[0] !== CLIENT_HELLO) return 'bad'
  if (bytes.length < 4) return undefined
  const end = 4 + bytes.readUIntBE(1, 3)
  if (end > CLIENT_HELLO_BYTES_MAX) return 'bad'
  return bytes.length < end ? undefined : bytes.subarray(4, end)
}

function parseClientHello(message: Buffer, bytes: Buffer): ClientHello {
  try {
    const body = cursor(message)
    body.skip(2 + 32)
    body.vector(1)
    body.vector(2)
    body.vector(1)
    let serverName: string | undefined
    let protocols: readonly string[] = []
    const extensions = body.done() ? cursor(Buffer.alloc(0)) : cursor(body.vector(2))
    const seen = new Set<number>()
    while (!extensions.done()) {
      const type = extensions.number(2)
      const content = cursor(extensions.vector(2))
      if (seen.has(type)) throw new MalformedError('an extension comes twice')
      seen.add(type)
      if (type === SERVER_NAME_EXTENSION) serverName = parseServerName(content)
      if (type === ALPN_EXTENSION) protocols = parseProtocols(content)
    }
    body.end()
    return { status: 'hello', serverName, protocols, bytes }
  } catch (error) {
    if (error instanceof MalformedError) return { status: 'bad', reason: error.message }
    throw error
  }
}

type Cursor = ReturnType<typeof cursor>

function parseServerName(content: Cursor): string {
  const list = cursor(content.vector(2))
  content.end()
  const type = list.number(1)
  const name = list.vector(2).toString('latin1').toLowerCase()
  list.end()
  if (type !== HOST_NAME || !HOST.test(name)) throw new MalformedError('a bad server name')
  return name
}

function parseProtocols(content: Cursor): readonly string[] {
  const list = cursor(content.vector(2))
  content.end()
  const protocols: string[] = []
  while (!list.done()) protocols.push(list.vector(1).toString('latin1'))
  return protocols
}

class MalformedError extends Error {
  override readonly name = 'MalformedError'
}

/** Reads TLS presentation language (RFC 8446 section 3) with every length checked. */
function cursor(bytes: Buffer) {
  let at = 0
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new MalformedError('a length beyond the end')
    at += length
    return bytes.subarray(at - length, at)
  }
  const number = (width: number): number => take(width).readUIntBE(0, width)
  return {
    number,
    skip: (length: number) => void take(length),
    vector: (width: number) => take(number(width)),
    done: () => at === bytes.length,
    end() {
      if (at < bytes.length) throw new MalformedError('bytes after the end')
    },
  }
}

/** Bytes in one piece of memory, however small the pieces they come in. */
function growingBuffer() {
  let memory = Buffer.alloc(0)
  let length = 0
  return {
    length: () => length,
    bytes: () => memory.subarray(0, length),
    push(chunk: Buffer) {
      if (length + chunk.length > memory.length) {
        const grown = Buffer.allocUnsafe(Math.max(2 * memory.length, length + chunk.length, 64))
        memory.copy(grown, 0, 0, length)
        memory = grown
      }
      chunk.copy(memory, length)
      length += chunk.length
    },
    /** What is there, to be used at once; empty again. */
    take() {
      const bytes = memory.subarray(0, length)
      length = 0
      return bytes
    },
  }
}
