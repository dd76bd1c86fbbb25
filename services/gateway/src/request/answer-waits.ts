import { Roster } from '@postern/mux'

/** Who waits for the head of an answer. */
export type AnswerWait = {
  /** Another second has passed. */
  onSecond(): void
}

/** One look a second at all who wait costs less than a timer for each. */
export class AnswerWaits {
  readonly #waiting = new Roster<AnswerWait>()
  #isTicking = false

  /** Answers the seat that it leaves by. */
  add(wait: AnswerWait): number {
    const seat = this.#waiting.add(wait)
    this.#tick()
    return seat
  }

  /** Does nothing for one that has left. */
  remove(seat: number, wait: AnswerWait): void {
    this.#waiting.remove(seat, wait)
  }

  #tick(): void {
    if (this.#isTicking || this.#waiting.size === 0) return
    this.#isTicking = true
    const timer = setTimeout(() => {
      this.#isTicking = false
      for (const [, wait] of this.#waiting) wait.onSecond()
      this.#tick()
    }, 1000)
    timer.unref()
  }
}
