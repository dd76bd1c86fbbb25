import { encodeResponseHead } from '@postern/kube-http'
import { accepted, createMuxPair } from '@postern/mux/testing'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { connect, get, settle } from '../front/testing.ts'
import { AnswerWaits } from './answer-waits.ts'
import { type ForwardListener, forward } from './forward.ts'
import type { Outcome } from './outcome.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(() => {
  vi.useRealTimers()
})

/** A request on its way, the agent's end of it, and what became of it. */
async function forwarded({ longRunning = false } = {}) {
  const { client: tunnel, server } = createMuxPair()
  const outcomes: Outcome[] = []
  const listener: ForwardListener = {
    onStarted() {},
    onOutcome: (outcome) => void outcomes.push(outcome),
    onFailure(error) {
      throw error
    },
  }
  const { send, state } = connect((request) => {
    forward(
      Buffer.from('head'),
      {
        request,
        tunnel,
        clusterName: 'demo',
        longRunning,
        isWatch: false,
        onlyReads: false,
        waits: new AnswerWaits(),
      },
      listener,
    )
  })
  const arrived = accepted(server)
  await send(get('/api'))
  const { stream } = await arrived
  stream.receive({ onData() {}, onEnd() {}, onClose() {} })
  return { stream, state, outcomes }
}

test('an answer that has not begun after 75 s is given up, and nobody knows what was done', async () => {
  const { stream, outcomes } = await forwarded()
  vi.advanceTimersByTime(74_000)
  expect(outcomes).toEqual([])
  vi.advanceTimersByTime(2_000)
  await settle()
  expect(outcomes).toMatchObject([{ kind: 'refused', refusal: { code: 504 } }])
  expect(stream.closed).toBe(true)
})

test('an answer that has begun may take its time, and leaves no timer', async () => {
  const { stream, state, outcomes } = await forwarded()
  stream.sendHead(encodeResponseHead({ status: 200, headers: [['Content-Length', '2']] }))
  await settle()
  vi.advanceTimersByTime(1_000)
  expect(vi.getTimerCount()).toBe(0)
  vi.advanceTimersByTime(100_000)
  stream.write(Buffer.from('ok'))
  stream.end()
  await settle()
  expect(state.text).toMatch(/^HTTP\/1.1 200 OK\r\n[\s\S]*\r\n\r\nok$/)
  expect(outcomes).toMatchObject([{ kind: 'answered', code: 200, bytes: 2, end: 'complete' }])
})

test('what runs long may also take long to begin', async () => {
  const { outcomes } = await forwarded({ longRunning: true })
  expect(vi.getTimerCount()).toBe(0)
  vi.advanceTimersByTime(100_000)
  expect(outcomes).toEqual([])
})
