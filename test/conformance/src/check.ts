import type { Worlds } from './worlds.ts'

/** A guarantee and the attempt to break it. Fails by throwing, with a message for a person. */
export type Check = {
  /** Of a rule's test ("PN-05"), or of a line of a file ("vectors.jsonl:7"). */
  readonly id: string
  /** What holds. */
  readonly title: string
  readonly run: (worlds: Worlds) => Promise<void> | void
}

export type Result = {
  readonly id: string
  readonly title: string
  readonly seconds: number
  /** Why it failed; absent when it passed. */
  readonly failure?: string
}

/** How much of what is generated is tried, and from which seed. */
export type Generated = {
  readonly requests: number
  readonly forged: number
  readonly seed: number
  /** How long streams on which nothing happens have to stay. */
  readonly idleSeconds: number
}
