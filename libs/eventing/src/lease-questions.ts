import type {
  HoldLeaseRequest,
  HoldLeaseResponse,
} from '@postern/proto/postern/eventlog/v1/event_log'
import { isUnimplemented } from '@postern/rpc'
import type { EventLogClient } from './event-log-client.ts'
import { LEASE_MS } from './lease-state.ts'

export type LeaseClient = Pick<EventLogClient, 'holdLease' | 'renewLease'>

/** @throws Error when no answer came while it could still count, or an earlier one is still waited for */
export type AskOwner = (question: HoldLeaseRequest) => Promise<HoldLeaseResponse>

/**
 * Asks an owner by one path, on a stream that is opened again when it has ended: there an answer costs both
 * sides a fraction of what a call does. One question at a time, so that none waits behind another.
 */
export function askByStream(client: LeaseClient, stopping: AbortSignal): AskOwner {
  let stream: QuestionStream | undefined
  return async (question) => {
    if (stream?.isOpen !== true) stream = openStream(client, stopping)
    try {
      return await stream.ask(question)
    } catch (error) {
      // Gateways are upgraded before the owners of the logs.
      if (!isUnimplemented(error)) throw error
      return await client.renewLease(question, { deadlineMs: LEASE_MS, signal: stopping })
    }
  }
}

type QuestionStream = ReturnType<typeof openStream>

type Waiting = {
  readonly answer: (answer: HoldLeaseResponse) => void
  readonly fail: (error: unknown) => void
}

function openStream(client: LeaseClient, stopping: AbortSignal) {
  const ended = new AbortController()
  const questions = createHandOver<HoldLeaseRequest>()
  let waiting: Waiting | undefined
  let isOpen = true

  const end = (error: unknown): void => {
    isOpen = false
    ended.abort(error)
    waiting?.fail(error)
  }

  const run = async (): Promise<void> => {
    const signal = AbortSignal.any([stopping, ended.signal])
    try {
      for await (const answer of client.holdLease(questions.taken(), { signal })) {
        waiting?.answer(answer)
      }
      end(new Error('the owner ended the stream'))
    } catch (error) {
      end(error)
    }
  }
  void run()

  return {
    get isOpen() {
      return isOpen
    },
    async ask(question: HoldLeaseRequest): Promise<HoldLeaseResponse> {
      if (waiting !== undefined) throw new Error('an earlier question is not answered yet')
      const late = setTimeout(() => end(new Error('the owner did not answer in time')), LEASE_MS)
      try {
        return await new Promise((answer, fail) => {
          waiting = { answer, fail }
          questions.give(question)
        })
      } finally {
        clearTimeout(late)
        waiting = undefined
      }
    },
  }
}

/** One thing at a time, from who has it to who waits for it. */
function createHandOver<Thing>() {
  let given: Thing | undefined
  let wake = (): void => undefined
  return {
    give(thing: Thing): void {
      given = thing
      wake()
    },
    async *taken(): AsyncGenerator<Thing> {
      for (;;) {
        if (given === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        }
        const thing = given
        given = undefined
        if (thing !== undefined) yield thing
      }
    },
  }
}
