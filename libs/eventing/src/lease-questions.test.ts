import type {
  HoldLeaseRequest,
  HoldLeaseResponse,
} from '@postern/proto/postern/eventlog/v1/event_log'
import { unknownRpcError } from '@postern/rpc/testing'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { askByStream, type LeaseClient } from './lease-questions.ts'

const question = (nonce: string): HoldLeaseRequest => ({ epoch: 'e', applied: 1n, nonce })
const answerTo = ({ nonce }: HoldLeaseRequest): HoldLeaseResponse => ({
  epoch: 'e',
  head: 1n,
  granted: true,
  nonce,
})

/** An owner whose streams answer, until a question is called as something else. */
function createOwner() {
  const owner = { streams: 0, calls: 0, knowsStreams: true, endStreams: () => {} }
  const client: LeaseClient = {
    async *holdLease(questions) {
      owner.streams += 1
      if (!owner.knowsStreams) throw unknownRpcError('HoldLease')
      const ended = new Promise<'ended'>((resolve) => {
        owner.endStreams = () => resolve('ended')
      })
      const asked = questions[Symbol.asyncIterator]()
      for (;;) {
        const next = await Promise.race([asked.next(), ended])
        if (next === 'ended' || next.done === true) return
        if (next.value.nonce === 'unanswered') await new Promise<never>(() => undefined)
        if (next.value.nonce === 'fatal') throw new Error('the database is away')
        yield answerTo(next.value)
      }
    },
    async renewLease(request) {
      owner.calls += 1
      return answerTo(request)
    },
  }
  return { owner, ask: askByStream(client, new AbortController().signal) }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('questions go one after the other over one stream, each with its own answer', async () => {
  const { owner, ask } = createOwner()
  for (const nonce of ['a', 'b', 'c']) expect(await ask(question(nonce))).toMatchObject({ nonce })
  expect(owner).toMatchObject({ streams: 1, calls: 0 })
})

test('a stream that its owner ended is opened again for the next question', async () => {
  const { owner, ask } = createOwner()
  await ask(question('a'))
  owner.endStreams()
  await vi.advanceTimersByTimeAsync(0)
  expect(await ask(question('b'))).toMatchObject({ nonce: 'b' })
  expect(owner.streams).toBe(2)
})

test('a failure ends the question at once, and the next is asked on another stream', async () => {
  const { owner, ask } = createOwner()
  await ask(question('a'))
  await expect(ask(question('fatal'))).rejects.toThrow('the database is away')
  expect(await ask(question('b'))).toMatchObject({ nonce: 'b' })
  expect(owner.streams).toBe(2)
})

test('while one question waits no other queues behind it, and it waits no longer than a lease', async () => {
  const { owner, ask } = createOwner()
  const unanswered = ask(question('unanswered')).catch((error: unknown) => String(error))
  await expect(ask(question('a'))).rejects.toThrow('not answered yet')
  await vi.advanceTimersByTimeAsync(2000)
  expect(await unanswered).toContain('in time')
  expect(await ask(question('b'))).toMatchObject({ nonce: 'b' })
  expect(owner.streams).toBe(2)
})

test('an owner of an earlier release, which knows no such stream, is asked by a call, until it does', async () => {
  const { owner, ask } = createOwner()
  owner.knowsStreams = false
  expect(await ask(question('a'))).toMatchObject({ nonce: 'a' })
  owner.knowsStreams = true
  expect(await ask(question('b'))).toMatchObject({ nonce: 'b' })
  expect(owner).toMatchObject({ streams: 2, calls: 1 })
})
