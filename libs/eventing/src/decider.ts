/** A fact. `type` is the name of its message in proto/postern/<service>/events/v1. */
export type DomainEvent = { readonly type: string }

/** Who asks, and when: everything impure that a decision may know. */
export type Decision = {
  /** "user:<id>", "service:<name>", "agent:<id>" or "system". */
  readonly by: string
  readonly now: Date
}

/** A pure aggregate: what a command does to a state, and what an event makes of it. */
export type Decider<State, Command, Event extends DomainEvent> = {
  readonly initial: State
  /** @throws Rejection when a rule says no. An empty answer means: already so. */
  decide(command: Command, state: State, context: Decision): readonly Event[]
  evolve(state: State, event: Event): State
}
