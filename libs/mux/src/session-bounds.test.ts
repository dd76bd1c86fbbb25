import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import type { MuxSession } from './api.ts'
import { MuxClosedError, MuxResetError } from './errors.ts'
import { WINDOW_BYTES } from './frame.ts'
import { accepted, createMuxPair, listen, sendAll, until } from './testing.ts'

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

describe('what waits is bounded', () => {
  test('a writer is stopped at the window of a reader that does not read', async () => {
    const { client, server } = pair()
    const incoming = accepted(server)
    const stream = client.open(NOTHING)
    const { pump, progress } = sendAll(stream, 1 << 30)
    listen(stream, { onDrain: pump })
    pump()
    const { stream: source } = await incoming
    source.pause()
    listen(source)
    for (let turns = 0; turns < 50; turns += 1) await setImmediate()
    expect(progress.written).toBeLessThanOrEqual(WINDOW_BYTES + 2 * 64 * 1024)
    stream.reset('cancelled')
  })

  test('a writer that does not wait loses its stream and nothing else', async () => {
    const { client, server } = pair()
    server.onStream((stream) => stream.pause())
    const stream = client.open(NOTHING)
    const heard = listen(stream)
    for (let times = 0; times < 200; times += 1) stream.write(Buffer.alloc(64 * 1024))
    expect(heard.error).toMatchObject({ code: 'failed', by: 'us' })
    expect(client.state).toBe('open')
  })

  test('beyond the budget of the connection the largest stalled stream is reset', async () => {
    const { client, server } = pair({ unreadBytesMax: 2 * WINDOW_BYTES })
    const errors: Error[] = []
    server.onStream((stream) => {
      stream.pause()
      listen(stream, { onClose: (error) => error && errors.push(error) })
    })
    const streams = Array.from({ length: 4 }, () => client.open(NOTHING))
    for (const stream of streams) {
      listen(stream)
      stream.write(Buffer.alloc(WINDOW_BYTES))
    }
    await until(() => errors.length === 3)
    expect(errors.every((error) => error instanceof MuxResetError)).toBe(true)
    expect(errors[0]).toMatchObject({ code: 'overloaded' })
    expect(server.state).toBe('open')
  })

  test('streams beyond the limit are refused, and there is room again when one ends', async () => {
    const { client, server } = pair({ streamsMax: 2 })
    server.onStream((stream) => void listen(stream))
    const [first] = [client.open(NOTHING), client.open(NOTHING)]
    expect(() => client.open(NOTHING)).toThrow(MuxClosedError)
    first?.reset('cancelled')
    expect(() => client.open(NOTHING)).not.toThrow()
  })
})

test('an empty chunk does not stop its writer', () => {
  const stream = pair().client.open(NOTHING)
  expect(stream.write(NOTHING)).toBe(true)
})

test('whatever is written in whatever pieces, with whatever pauses, arrives in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.nat({ max: 90_000 }), { maxLength: 12 }), {
        minLength: 1,
        maxLength: 6,
      }),
      fc.array(fc.boolean(), { minLength: 1 }),
      async (bodies, pauses) => {
        const { client, server } = createMuxPair({ unreadBytesMax: 1 << 22 })
        server.onStream((stream) => {
          stream.sendHead(NOTHING)
          let turn = 0
          listen(stream, {
            onData(chunk) {
              const full = !stream.write(chunk)
              turn += 1
              if (full) stream.pause()
              else if (pauses[turn % pauses.length] === true) {
                stream.pause()
                void setImmediate().then(() => stream.resume())
              }
            },
            onDrain: () => stream.resume(),
            onEnd: () => stream.end(),
          })
        })
        const results = bodies.map((lengths, seed) => {
          const chunks = lengths.map((length, index) => Buffer.alloc(length, 12 * seed + index))
          const stream = client.open(NOTHING)
          let next = 0
          const pump = () => {
            for (; next < chunks.length; ) {
              const chunk = chunks[next] ?? NOTHING
              next += 1
              if (!stream.write(chunk)) return
            }
            stream.end()
          }
          const heard = listen(stream, { onDrain: pump })
          pump()
          return { heard, expected: Buffer.concat(chunks) }
        })
        await until(() => results.every(({ heard }) => heard.closed))
        for (const { heard, expected } of results) {
          expect(Buffer.concat(heard.data).equals(expected)).toBe(true)
          expect(heard.error).toBeUndefined()
        }
        client.close('done')
        server.close('done')
      },
    ),
    { numRuns: 60 },
  )
})
