import { setImmediate as turn } from 'node:timers/promises'
import { createLlhttp, hostileRequests, type UnderstoodRequest } from '@postern/kube-http/testing'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import type { FrontRequest } from './front-interface.ts'
import { connect } from './testing.ts'

// oxlint-disable-next-line node/no-process-env -- how long to look, and to repeat a run that failed
const { POSTERN_TEST_FUZZ_RUNS, POSTERN_TEST_FUZZ_SEED } = process.env
const numRuns = Number(POSTERN_TEST_FUZZ_RUNS ?? 1_000)
const seed = Number(POSTERN_TEST_FUZZ_SEED ?? Date.now() & 0x7fffffff)
const HELD_BYTES_MAX = 128 * 1024
/** Whatever waits at the end is late. */
const IMPATIENT = { headMs: 1, idleMs: 1, ageMs: 1e9, bodySilenceMs: 1, lingerMs: 1 }

const llhttp = createLlhttp()
afterAll(() => llhttp.close())

/** How a request is dealt with, chosen at random. */
type Manner = {
  readonly readsBody: boolean
  /** Turns of the event loop before anything is said. */
  readonly after: number
  readonly how: 'answer' | 'stream' | 'answer and close' | 'abort' | 'nothing'
}

const manners = fc.array(
  fc.record<Manner>({
    readsBody: fc.boolean(),
    after: fc.nat(3),
    how: fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom('answer', 'stream') },
      { weight: 1, arbitrary: fc.constantFrom('answer and close', 'abort', 'nothing') },
    ),
  }),
  { minLength: 1, maxLength: 4 },
)
const cuts = fc.array(fc.nat(), { maxLength: 6 })
const randomBytes = fc
  .uint8Array({ maxLength: 300 })
  .map((bytes) => Buffer.from(bytes).toString('latin1'))

/** What a connection made of bytes that came in pieces, with a handler of these manners. */
async function serve(pieces: readonly Buffer[], how: readonly Manner[]) {
  const handled: UnderstoodRequest[] = []
  const { client, server, connection, state, malformed } = connect((request) => {
    const manner = how[handled.length % how.length]
    const { method, target, lines } = request.head
    const understood = { start: `${method} ${target}`, headers: lines.headers.flat(), body: '' }
    handled.push(understood)
    if (manner !== undefined) deal(request, manner, understood)
  }, IMPATIENT)
  for (const piece of pieces) {
    client.write(piece)
    await turn()
    expect(server.readableLength).toBeLessThan(HELD_BYTES_MAX)
  }
  for (let turns = 0; turns < 12; turns += 1) await turn()
  const answers = state.text.match(/HTTP\/1\.1 (?!100)\d{3} /g)?.length ?? 0
  client.end()
  for (let turns = 0; turns < 4; turns += 1) await turn()
  for (let times = 0; times < 2; times += 1) {
    connection.checkDeadline(Number.MAX_SAFE_INTEGER)
    for (let turns = 0; turns < 4; turns += 1) await turn()
  }
  return { handled, answers, refusals: malformed.length, isClosed: state.closed }
}

function deal(request: FrontRequest, manner: Manner, understood: UnderstoodRequest): void {
  if (manner.readsBody) {
    request.listen({
      onBody(chunk) {
        understood.body += chunk.toString('latin1')
      },
      onBodyEnd() {},
      onAnswerDrain() {},
      onSent() {},
      onGone() {},
    })
  }
  const say = () => {
    switch (manner.how) {
      case 'answer':
      case 'answer and close':
        request.answer({ status: 200, headers: [] }, Buffer.from('ok'), {
          close: manner.how === 'answer and close',
        })
        return
      case 'stream':
        request.respond({ status: 200, headers: [] })
        request.write(Buffer.from('ok'))
        request.end()
        return
      case 'abort':
        request.abort()
        return
      case 'nothing':
    }
  }
  const later = (turns: number): void => {
    if (turns === 0) say()
    else setImmediate(() => later(turns - 1))
  }
  later(manner.after)
}

function cutAt(bytes: Buffer, at: readonly number[]): Buffer[] {
  const edges = [0, ...at.map((cut) => cut % (bytes.length + 1)), bytes.length]
  const sorted = edges.toSorted((a, b) => a - b)
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end))
}

test('every request that is handled is one that llhttp read as well, in that order; what is refused is answered once and closed; nothing hangs', async () => {
  let handledAll = 0
  await fc.assert(
    fc.asyncProperty(hostileRequests, cuts, manners, async (text, at, how) => {
      const bytes = Buffer.from(text, 'latin1')
      const { handled, answers, refusals, isClosed } = await serve(cutAt(bytes, at), how)
      handledAll += handled.length
      const understood = await llhttp.read(bytes)
      handled.forEach(({ start, headers, body }, index) => {
        const theirs = understood[index]
        expect([start, headers]).toEqual([theirs?.start, theirs?.headers])
        // Nobody may have wanted it, or it broke.
        expect(theirs?.body.startsWith(body)).toBe(true)
      })
      expect(answers).toBeLessThanOrEqual(handled.length + refusals)
      expect(refusals).toBeLessThanOrEqual(1)
      expect(isClosed).toBe(true)
    }),
    { seed, numRuns },
  )
  // Not by refusing everything.
  expect(handledAll).toBeGreaterThan(numRuns / 20)
}, 600_000)

test('random bytes are refused, or wait to go on, and never break anything', async () => {
  await fc.assert(
    fc.asyncProperty(randomBytes, cuts, manners, async (text, at, how) => {
      const { handled, isClosed } = await serve(cutAt(Buffer.from(text, 'latin1'), at), how)
      expect(handled).toEqual([])
      expect(isClosed).toBe(true)
    }),
    { seed, numRuns },
  )
}, 600_000)
