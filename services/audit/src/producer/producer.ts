import type { Decider } from '@postern/eventing'

/** A gateway's spool. Its records are numbered from 1 without a hole; a hole proves a loss. */
export type Producer = { readonly registered: boolean }

export type ProducerCommand = {
  readonly type: 'TakeDelivery'
  readonly producer: string
  /** Number of the first delivered record. */
  readonly first: bigint
  /** Number of the last record stored before; 0 for none. */
  readonly stored: bigint
}

export type ProducerEvent =
  | { readonly type: 'ProducerRegistered'; readonly producer: string }
  | {
      readonly type: 'SpoolGapDetected'
      readonly producer: string
      readonly first: bigint
      readonly last: bigint
    }

export const producer: Decider<Producer, ProducerCommand, ProducerEvent> = {
  initial: { registered: false },

  decide({ producer, first, stored }, state) {
    const events: ProducerEvent[] = []
    if (!state.registered) events.push({ type: 'ProducerRegistered', producer })
    if (first > stored + 1n) {
      events.push({ type: 'SpoolGapDetected', producer, first: stored + 1n, last: first - 1n })
    }
    return events
  },

  evolve(state, event) {
    switch (event.type) {
      case 'ProducerRegistered':
        return { registered: true }
      case 'SpoolGapDetected':
        return state
    }
  },
}
