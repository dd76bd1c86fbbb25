import { duplexPair } from 'node:stream'
import { connect } from 'node:tls'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CLIENT_HELLO_BYTES_MAX, createClientHelloReader } from './client-hello.ts'

/** What Node's own TLS sends first. */
async function realHello(servername: string | undefined, protocols: string[]): Promise<Buffer> {
  const [ours, theirs] = duplexPair()
  const client = connect({
    socket: ours,
    ALPNProtocols: protocols,
    ...(servername === undefined ? {} : { servername }),
  })
  client.on('error', () => {})
  const bytes = await new Promise<Buffer>((resolve) => theirs.once('data', resolve))
  client.destroy()
  return bytes
}

function read(chunks: readonly Buffer[]) {
  const reader = createClientHelloReader()
  for (const chunk of chunks) {
    const hello = reader.push(chunk)
    if (hello.status !== 'more') return hello
  }
  return { status: 'more' as const }
}

/** The same handshake message in records of so many bytes. */
function inRecords(hello: Buffer, bytes: number): Buffer {
  const message = hello.subarray(5)
  const records: Buffer[] = []
  for (let at = 0; at < message.length; at += bytes) {
    const piece = message.subarray(at, at + bytes)
    records.push(Buffer.from([0x16, 3, 1, piece.length >> 8, piece.length & 0xff]), piece)
  }
  return Buffer.concat(records)
}

test('server name and protocols are read from what node:tls sends', async () => {
  const bytes = await realHello('Relay.Test.Internal', ['postern-mux/1', 'h2'])
  expect(read([bytes])).toEqual({
    status: 'hello',
    serverName: 'relay.test.internal',
    protocols: ['postern-mux/1', 'h2'],
    bytes,
  })
})

test('a ClientHello may name no server', async () => {
  const bytes = await realHello(undefined, ['h2'])
  expect(read([bytes])).toMatchObject({ status: 'hello', serverName: undefined })
})

test('it may come in any pieces, and in records of any size', async () => {
  const hello = await realHello('relay.test.internal', ['h2'])
  const expected = { status: 'hello', serverName: 'relay.test.internal', protocols: ['h2'] }
  for (const recordBytes of [1, 2, 3, 7, 100, 16_384]) {
    const bytes = inRecords(hello, recordBytes)
    expect(read([...bytes].map((byte) => Buffer.from([byte])))).toMatchObject({
      ...expected,
      bytes,
    })
  }
  for (let cut = 1; cut < hello.length; cut += 1) {
    const pieces = [hello.subarray(0, cut), hello.subarray(cut)]
    expect(read(pieces.slice(0, 1))).toEqual({ status: 'more' })
    expect(read(pieces)).toMatchObject({ ...expected, bytes: hello })
  }
})

test('what follows it in the same piece is kept for its next reader', async () => {
  const hello = await realHello('relay.test.internal', [])
  const bytes = Buffer.concat([hello, Buffer.alloc(40_000, 7)])
  expect(read([bytes])).toMatchObject({ status: 'hello', bytes })
})

describe('what is none', () => {
  const record = (...message: number[]) =>
    Buffer.from([0x16, 3, 1, message.length >> 8, message.length & 0xff, ...message])

  test.each([
    { name: 'HTTP', bytes: Buffer.from('GET / HTTP/1.1\r\n\r\n') },
    { name: 'an alert record', bytes: Buffer.from([0x15, 3, 1, 0, 2, 1, 0]) },
    { name: 'a ServerHello', bytes: record(2, 0, 0, 1, 0) },
    { name: 'an empty record', bytes: Buffer.from([0x16, 3, 1, 0, 0]) },
    { name: 'a record that is too long', bytes: Buffer.from([0x16, 3, 1, 0xff, 0xff]) },
    { name: 'a message that is too long', bytes: record(1, 0xff, 0xff, 0xff) },
    { name: 'an empty message', bytes: record(1, 0, 0, 0) },
  ])('$name is refused', ({ bytes }) => {
    expect(read([bytes]).status).toBe('bad')
  })

  test('more than 16 KiB without an end is refused, and less is waited for', () => {
    const start = record(1, 0, 0x3f, 0xf0)
    const rest = Array.from({ length: 16 }, () =>
      Buffer.concat([Buffer.from([0x16, 3, 1, 4, 0]), Buffer.alloc(1024)]),
    )
    expect(read([start, ...rest.slice(0, 15)]).status).toBe('more')
    expect(read([start, ...rest]).status).toBe('bad')
    expect(CLIENT_HELLO_BYTES_MAX).toBe(16 * 1024)
  })

  test('the server name comes twice, or is no host name', async () => {
    const hello = await realHello('relay.test.internal', [])
    const broken = Buffer.from(hello)
    broken.write('relay test internal', hello.indexOf('relay.test.internal'))
    expect(read([broken]).status).toBe('bad')
  })
})

test('a real one with bytes changed, cut or added is read or refused, never thrown at', async () => {
  const hello = await realHello('relay.test.internal', ['postern-mux/1'])
  const change = fc.record({ at: fc.nat({ max: hello.length - 1 }), to: fc.nat({ max: 255 }) })
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 8 }),
      fc.nat({ max: hello.length }),
      fc.uint8Array({ maxLength: 40 }),
      (changes, length, tail) => {
        const bytes = Buffer.from(hello)
        for (const { at, to } of changes) bytes[at] = to
        const input = Buffer.concat([bytes.subarray(0, length), tail])
        expect(['more', 'bad', 'hello']).toContain(read([input]).status)
      },
    ),
    { numRuns: 2000 },
  )
})

test('random bytes are read or refused', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 5 }), (chunks) => {
      const pieces = chunks.map((chunk) => Buffer.concat([Buffer.from([0x16, 3, 1]), chunk]))
      expect(['more', 'bad', 'hello']).toContain(read(pieces).status)
    }),
    { numRuns: 1000 },
  )
})
