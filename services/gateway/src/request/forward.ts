import { type Readable, Transform } from 'node:stream'
import type { ResponseHead } from '@postern/kube-http'
import { MuxClosedError, MuxResetError, type MuxSession, toDuplex } from '@postern/mux'
import type { FrontRequest } from '../front/front-interface.ts'
import { CuttableStream } from '../streams/cuttable-stream.ts'
import { type FlowEnd, flow } from '../streams/flow.ts'
import type { Cut } from '../streams/live-requests.ts'
import { watchEvents } from '../streams/watch.ts'
import { statusText } from './kubernetes-status.ts'
import {
  clusterUnreachable,
  cutShort,
  lostAfterForwarding,
  lostWhileReading,
  type Refusal,
  refusals,
} from './refusal.ts'
import { acceptResponseHead, parseResponseHead } from './response-head.ts'

/** How a request that was forwarded, or could not be, has ended. */
export type Outcome =
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | {
      readonly kind: 'answered'
      readonly code: number
      readonly bytes: number
      readonly end: FlowEnd
      readonly cut?: Cut
      /** How the command of an exec ended, as its error channel said. */
      readonly commandStatus?: string
    }

/** Something under way that can be ended from outside. */
export type Cuttable = {
  cut(why: Cut): void
  /** Ends what its client resumes by itself, where that can be done without harm; else nothing. */
  conclude?(why: Cut): void
}

const BODY_BYTES_MAX = 16 * 1024 * 1024
const ANSWER_TIMEOUT_MS = 75_000

/** Sends a plain request to the cluster's agent and the answer back, with the pressure of both sides. */
export function forward(order: {
  request: FrontRequest
  /** Encoded, from the allow-list. */
  head: Uint8Array
  tunnel: MuxSession
  clusterName: string
  longRunning: boolean
  isWatch: boolean
  /** It changes nothing: whatever became of it, it may be sent again. */
  onlyReads: boolean
  onStarted(code: number): void
}): Cuttable & { done: Promise<Outcome> } {
  const { request, clusterName, longRunning } = order
  const lost = order.onlyReads ? lostWhileReading : lostAfterForwarding
  let cutBy: Cut | undefined
  let cutNow: (why: Cut) => void = () => {}
  let concludeNow = () => false

  async function run(): Promise<Outcome> {
    const opened = open()
    if ('refusal' in opened) return { kind: 'refused', refusal: opened.refusal }
    const { head, body: stream } = opened
    stream.on('error', () => {})
    const stop = () => stream.destroy()
    request.gone.addEventListener('abort', stop, { once: true })
    cutNow = stop
    const sending = limitBody(request.body, longRunning)
    sending.on('error', stop)
    request.body.on('error', stop)
    sending.pipe(stream)
    try {
      const answer = await answerOf(head)
      if ('refusal' in answer) return refuse(answer.refusal)
      if (cutBy !== undefined) return refuse(cutShort(cutBy))
      return await relay(answer, stream)
    } finally {
      request.gone.removeEventListener('abort', stop)
      stop()
    }

    function refuse(refusal: Refusal): Outcome {
      const { errored } = sending
      if (errored instanceof BodyTooLargeError) {
        return { kind: 'refused', refusal: refusals.bodyTooLarge }
      }
      return { kind: 'refused', refusal: cutBy === undefined ? refusal : cutShort(cutBy) }
    }
  }

  function open() {
    try {
      return toDuplex(order.tunnel.open(order.head))
    } catch (error) {
      if (!(error instanceof MuxClosedError)) throw error
      return { refusal: clusterUnreachable(clusterName, 'its connection has just closed') }
    }
  }

  async function answerOf(head: Promise<Buffer>): Promise<ResponseHead | { refusal: Refusal }> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => {
      // What runs long may also take long to begin: a watch of a large list.
      if (!longRunning) timer = setTimeout(() => resolve('late'), ANSWER_TIMEOUT_MS)
    })
    try {
      const encoded = await Promise.race([head, late])
      if (encoded === 'late') {
        return { refusal: lostAfterForwarding(clusterName, 'no answer came in time') }
      }
      return acceptResponseHead(parseResponseHead(encoded))
    } catch (error) {
      return { refusal: failureOf(error) }
    } finally {
      clearTimeout(timer)
    }
  }

  function failureOf(error: unknown): Refusal {
    if (error instanceof MuxResetError && error.by === 'peer') {
      // `refused` promises that the other side has done nothing with it.
      if (error.code === 'refused') return clusterUnreachable(clusterName, error.message)
      if (error.code === 'overloaded') return lost(clusterName, 'it was overloaded')
      return lost(clusterName, error.message)
    }
    return lost(clusterName, 'the connection to its agent broke')
  }

  async function relay(head: ResponseHead, source: Readable): Promise<Outcome> {
    const events = order.isWatch ? watchEvents(head) : undefined
    const through = new CuttableStream(events?.framing)
    cutNow = (why) => through.cut(events?.farewell(statusText(cutShort(why))))
    concludeNow = () => through.conclude()
    const client = request.respond(head)
    if (longRunning) order.onStarted(head.status)
    // A watch may end at any time: its client goes on where the last event left it.
    const end = await flow(source, through, client, { mayEnd: events !== undefined })
    if (!client.writableFinished) request.abort()
    const cut = cutBy === undefined ? {} : { cut: cutBy }
    return { kind: 'answered', code: head.status, bytes: through.bytes, end, ...cut }
  }

  return {
    done: run(),
    cut(why) {
      cutBy ??= why
      cutNow(why)
    },
    conclude(why) {
      if (concludeNow()) cutBy ??= why
    },
  }
}

class BodyTooLargeError extends Error {
  override readonly name = 'BodyTooLargeError'
}

/** A proxied stream has no bound of its own; everything kube-apiserver reads itself has. */
function limitBody(body: Readable, longRunning: boolean): Transform {
  let bytes = 0
  const limited = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length
      if (!longRunning && bytes > BODY_BYTES_MAX)
        done(new BodyTooLargeError('the body is too large'))
      else done(null, chunk)
    },
  })
  return body.pipe(limited)
}
