import { Rejection } from '@postern/errors'
import type { Decider, Decision, DomainEvent } from '../decider.ts'

/** One command with its moment, what it led to, and the state before and after. */
export type Step<State, Event> = { before: State; after: State; events: readonly Event[] }

/** Gives the commands to an aggregate one after the other; a rejected one leads to nothing. */
export function play<State, Command, Event extends DomainEvent>(
  decider: Decider<State, Command, Event>,
  orders: readonly { command: Command; context: Decision }[],
): Step<State, Event>[] {
  let state = decider.initial
  return orders.map(({ command, context }) => {
    const before = state
    const events = decideOrNothing(decider, command, before, context)
    state = events.reduce((folded, event) => decider.evolve(folded, event), before)
    return { before, after: state, events }
  })
}

function decideOrNothing<State, Command, Event extends DomainEvent>(
  decider: Decider<State, Command, Event>,
  command: Command,
  state: State,
  context: Decision,
): readonly Event[] {
  try {
    return decider.decide(command, state, context)
  } catch (error) {
    if (error instanceof Rejection) return []
    throw error
  }
}
