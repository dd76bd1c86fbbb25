import { randomUUID } from 'node:crypto'
import type { Transaction } from 'kysely'
import type { Decider, DomainEvent } from '../decider.ts'
import { type EventStore, VersionConflictError } from '../event-store.ts'
import { checkAppend } from '../new-events.ts'
import type { Recorded } from '../recorded.ts'
import { retryOnConflict } from '../retry-on-conflict.ts'

export type FakeEventStore<Database, Event extends DomainEvent> = EventStore<Database, Event> & {
  /** The whole log, oldest first. */
  readonly events: readonly Recorded<Event>[]
}

type Order<Database, State, Command, Event extends DomainEvent> = {
  readonly stream: string
  readonly decider: Decider<State, Command, Event>
  readonly command: Command
  readonly actor: { readonly by: string; readonly cause: string }
  readonly guard?: (db: Transaction<Database>) => Promise<void>
}

/**
 * An event store in memory, with no projections. A guard gets `db`, and without one something that
 * throws at the first touch.
 */
export function fakeEventStore<Database, Event extends DomainEvent>(
  options: { readonly now?: () => Date; readonly db?: Transaction<Database> } = {},
): FakeEventStore<Database, Event> {
  const { now = () => new Date('2030-01-01T00:00:00.000Z'), db = noDatabase<Database>() } = options
  const events: Recorded<Event>[] = []
  let appending: Promise<unknown> = Promise.resolve()

  const load = <State, E extends Event>(stream: string, decider: Decider<State, never, E>) => {
    const own = events.filter((recorded) => recorded.stream === stream)
    const state = own.reduce(
      (folded, { event }) => decider.evolve(folded, event as unknown as E),
      decider.initial,
    )
    return { state, version: own.length, pos: own.at(-1)?.pos ?? 0n }
  }

  const append = async (
    order: Pick<Order<Database, never, never, Event>, 'stream' | 'actor' | 'guard'>,
    version: number,
    decided: readonly Event[],
    at: Date,
  ): Promise<void> => {
    const { stream, actor, guard } = order
    const current = events.filter((recorded) => recorded.stream === stream).length
    if (current !== version) {
      throw new VersionConflictError(`${stream} is at version ${current}, not ${version}`)
    }
    await guard?.(db)
    for (const [index, event] of decided.entries()) {
      events.push({
        pos: BigInt(events.length + 1),
        id: randomUUID(),
        stream,
        ver: version + index + 1,
        at: at.toISOString(),
        actor: actor.by,
        cause: actor.cause,
        event: structuredClone(event),
      })
    }
  }

  const execute = async <State, Command, E extends Event>(
    order: Order<Database, State, Command, E>,
  ) => {
    const { stream, decider, command, actor, guard } = order
    const { state, version, pos } = load<State, E>(stream, decider)
    // As with a real log, others may append between the read and the write.
    await Promise.resolve()
    const at = now()
    const decided = decider.decide(command, state, { by: actor.by, now: at })
    if (decided.length === 0) return { state, pos }
    checkAppend({ stream, events: decided, actor })
    const own = { stream, actor, ...(guard === undefined ? {} : { guard }) }
    const turn = appending.then(async () => await append(own, version, decided, at))
    appending = turn.catch(() => undefined)
    await turn
    const folded = decided.reduce((before, event) => decider.evolve(before, event), state)
    return { state: folded, pos: load(stream, decider).pos }
  }

  return {
    events,
    load: async (stream, decider) => {
      const { state, version } = load(stream, decider)
      return { state, version }
    },
    execute: async (order) => await retryOnConflict(async () => await execute(order)),
  }
}

function noDatabase<Database>(): Transaction<Database> {
  const touched = () => {
    throw new Error('the fake event store has no database: give it one, or test with a real one')
  }
  return new Proxy({}, { get: touched }) as Transaction<Database>
}
