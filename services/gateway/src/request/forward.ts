import type { ResponseHead } from '@postern/kube-http'
import {
  MuxClosedError,
  MuxResetError,
  type MuxSession,
  type MuxStream,
  type StreamReceiver,
} from '@postern/mux'
import type { ClientListener, FrontRequest } from '../front/front-interface.ts'
import { CuttableStream, type FlowEnd } from '../streams/cuttable-stream.ts'
import type { Cut } from '../streams/live-requests.ts'
import { type WatchEvents, watchEvents } from '../streams/watch.ts'
import type { AnswerWait, AnswerWaits } from './answer-waits.ts'
import { statusText } from './kubernetes-status.ts'
import { type Cuttable, type Outcome, refused } from './outcome.ts'
import {
  clusterUnreachable,
  cutShort,
  lostAfterForwarding,
  lostWhileReading,
  type Refusal,
  refusals,
} from './refusal.ts'
import { acceptResponseHead, parseResponseHead } from './response-head.ts'

const BODY_BYTES_MAX = 16 * 1024 * 1024
const ANSWER_SECONDS_MAX = 75
const NO_WORD = Buffer.alloc(0)

type Order = {
  readonly request: FrontRequest
  readonly tunnel: MuxSession
  readonly clusterName: string
  readonly longRunning: boolean
  readonly isWatch: boolean
  /** It changes nothing: whatever became of it, it may be sent again. */
  readonly onlyReads: boolean
  readonly waits: AnswerWaits
}

/** Who hears what becomes of a request. */
export type ForwardListener = {
  onStarted(code: number): void
  /** Once, when it is over. */
  onOutcome(outcome: Outcome): void
  /** The answer could not be passed on: it is over by that. */
  onFailure(error: unknown): void
}

/**
 * Sends a plain request to the cluster's agent and the answer back, with the pressure of both sides. The
 * head is encoded, from the allow-list.
 */
export function forward(head: Uint8Array, order: Order, listener: ForwardListener): Cuttable {
  const forwarding = new Forwarding(order, listener)
  forwarding.start(head)
  return forwarding
}

class Forwarding implements Cuttable, ClientListener, StreamReceiver, AnswerWait {
  readonly #order: Order
  readonly #listener: ForwardListener
  #stream: MuxStream | undefined
  #bodyBytes = 0
  #seat: number | undefined
  #secondsWaited = 0
  /** Set with the head of the answer. */
  #through: CuttableStream | undefined
  #events: WatchEvents | undefined
  #code = 0
  #cutBy: Cut | undefined
  #isOver = false

  constructor(order: Order, listener: ForwardListener) {
    this.#order = order
    this.#listener = listener
  }

  start(head: Uint8Array): void {
    const { request, tunnel, longRunning, clusterName, waits } = this.#order
    try {
      this.#stream = tunnel.open(head)
    } catch (error) {
      if (!(error instanceof MuxClosedError)) throw error
      this.#refuse(clusterUnreachable(clusterName, 'its connection has just closed'))
      return
    }
    // What runs long may also take long to begin: a watch of a large list.
    if (!longRunning) this.#seat = waits.add(this)
    this.#stream.receive(this)
    request.listen(this)
  }

  cut(why: Cut): void {
    this.#cutBy ??= why
    if (this.#through === undefined) {
      this.#refuse(cutShort(this.#cutBy))
    } else {
      this.#through.cut(this.#events?.farewell(statusText(cutShort(why))))
      this.#stopSourceIfOver()
    }
  }

  conclude(why: Cut): void {
    if (this.#through?.conclude() !== true) return
    this.#cutBy ??= why
    this.#stopSourceIfOver()
  }

  // What the client sends, and whether it still takes anything.

  onBody(chunk: Buffer): void {
    // A proxied stream has no bound of its own; everything kube-apiserver reads itself has.
    this.#bodyBytes += chunk.length
    if (!this.#order.longRunning && this.#bodyBytes > BODY_BYTES_MAX) {
      if (this.#through === undefined) this.#refuse(refusals.bodyTooLarge)
      else this.#stream?.reset('cancelled')
      return
    }
    if (this.#stream?.write(chunk) === false) this.#order.request.pause()
  }

  onBodyEnd(): void {
    this.#stream?.end()
  }

  onAnswerDrain(): void {
    this.#stream?.resume()
  }

  onSent(): void {
    this.#through?.sent()
  }

  onGone(): void {
    this.#through?.gone()
    // An intent gets its outcome, also where nobody is there to be answered.
    this.#refuse(refusals.clientGoneUnanswered)
  }

  // What the cluster answers.

  onSecond(): void {
    this.#secondsWaited += 1
    if (this.#secondsWaited < ANSWER_SECONDS_MAX) return
    this.#refuse(lostAfterForwarding(this.#order.clusterName, 'no answer came in time'))
  }

  onHead(encoded: Buffer): void {
    if (this.#isOver) return
    this.#waitNoMore()
    const head = acceptResponseHead(parseResponseHead(encoded))
    if ('refusal' in head) {
      this.#refuse(head.refusal)
      return
    }
    try {
      this.#answer(head)
    } catch (error) {
      this.#stop()
      this.#listener.onFailure(error)
    }
  }

  onData(chunk: Buffer): void {
    if (this.#through?.write(chunk) === false) this.#stream?.pause()
    this.#stopSourceIfOver()
  }

  onEnd(): void {
    if (this.#through === undefined) this.#refuse(this.#lost('it ended without an answer'))
    else this.#through.end()
  }

  onDrain(): void {
    this.#order.request.resume()
  }

  onClose(error: Error | undefined): void {
    if (error === undefined) return
    if (this.#through === undefined) this.#refuse(this.#failureOf(error))
    else this.#through.lose()
  }

  #answer(head: ResponseHead): void {
    const { request, isWatch, longRunning } = this.#order
    this.#code = head.status
    this.#events = isWatch ? watchEvents(head) : undefined
    const framing = request.respond(head)
    this.#through = new CuttableStream({
      sink: request,
      framing: this.#events?.framing,
      // A watch may end at any time: its client goes on where the last event left it.
      lastWord: this.#events === undefined ? undefined : NO_WORD,
      lengthBytes: framing.kind === 'length' ? framing.bytes : undefined,
      onEnd: (end) => this.#onEnded(end),
    })
    if (longRunning) this.#listener.onStarted(head.status)
  }

  #onEnded(end: FlowEnd): void {
    const bytes = this.#through?.bytes ?? 0
    const cut = this.#cutBy === undefined ? {} : { cut: this.#cutBy }
    this.#finish({ kind: 'answered', code: this.#code, bytes, end, ...cut })
  }

  /** What was said to the client is the end of it: the cluster need not go on. */
  #stopSourceIfOver(): void {
    const stream = this.#stream
    if (this.#through?.isOver === true && stream?.closed === false) stream.reset('cancelled')
  }

  #waitNoMore(): void {
    if (this.#seat === undefined) return
    this.#order.waits.remove(this.#seat, this)
    this.#seat = undefined
  }

  #failureOf(error: Error): Refusal {
    if (!(error instanceof MuxResetError) || error.by !== 'peer') {
      return this.#lost('the connection to its agent broke')
    }
    // `refused` promises that the other side has done nothing with it.
    if (error.code === 'refused') return clusterUnreachable(this.#order.clusterName, error.message)
    return this.#lost(error.code === 'overloaded' ? 'it was overloaded' : error.message)
  }

  #lost(why: string): Refusal {
    const { onlyReads, clusterName } = this.#order
    return onlyReads ? lostWhileReading(clusterName, why) : lostAfterForwarding(clusterName, why)
  }

  #refuse(refusal: Refusal): void {
    this.#finish(refused(refusal))
  }

  #finish(outcome: Outcome): void {
    if (this.#isOver) return
    this.#stop()
    this.#listener.onOutcome(outcome)
  }

  #stop(): void {
    this.#isOver = true
    this.#waitNoMore()
    // Also where the answer is whole: what is left of the body goes nowhere.
    if (this.#stream?.closed === false) this.#stream.reset('cancelled')
  }
}
