import { deepStrictEqual, throws } from 'node:assert/strict'
import type { Decider, Decision, DomainEvent } from '../decider.ts'

/** States a guarantee of an aggregate: given these events, when this command, then those events. */
export function given<State, Command, Event extends DomainEvent>(
  decider: Decider<State, Command, Event>,
  past: readonly Event[],
) {
  const state = past.reduce((folded, event) => decider.evolve(folded, event), decider.initial)
  return {
    when: (command: Command, context: Decision) => ({
      emits: (expected: readonly Event[]) =>
        deepStrictEqual(decider.decide(command, state, context), expected),
      rejects: (reason: string) =>
        throws(() => decider.decide(command, state, context), { reason }),
    }),
  }
}
