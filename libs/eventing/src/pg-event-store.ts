import { currentTraceparent } from '@postern/telemetry'
import { type Kysely, sql, type Transaction } from 'kysely'
import pg from 'pg'
import type { Decider, DomainEvent } from './decider.ts'
import { decodeOwn } from './decode-recorded.ts'
import { type EventStore, VersionConflictError } from './event-store.ts'
import {
  advanceHead,
  type Head,
  insertEvents,
  type LogEvent,
  lastVersion,
  readStream,
} from './log-table.ts'
import { toNewEvents } from './new-events.ts'
import { applyInline, type Projections } from './projector.ts'
import { retryOnConflict } from './retry-on-conflict.ts'
import { createSnapshotCache, type Snapshot } from './snapshot-cache.ts'

const PAGE = 1000

export type PgEventStoreNeeds<Database, Event extends DomainEvent> = Projections<
  Database,
  Event
> & {
  readonly db: Kysely<Database>
  readonly channel: string
  readonly now: () => Date
  /** Right after each commit, with the new head. Must not throw. */
  readonly committed: (head: Head) => void
}

/** The event store on PostgreSQL. */
export function createPgEventStore<Database, Event extends DomainEvent>(
  needs: PgEventStoreNeeds<Database, Event>,
): EventStore<Database, Event> {
  const { db, codec, projections, channel, now, committed } = needs
  const snapshots = createSnapshotCache()

  async function load<State>(
    stream: string,
    decider: { readonly initial: State; evolve(state: State, event: Event): State },
  ): Promise<Snapshot<State>> {
    const cached = snapshots.get(decider, stream)
    let folded = cached ?? { epoch: '', state: decider.initial, version: 0, pos: 0n }
    for (;;) {
      const { head, events } = await readStream(db, stream, folded.version, PAGE)
      if (folded.epoch !== '' && folded.epoch !== head.epoch) {
        snapshots.drop(decider, stream)
        return await load(stream, decider)
      }
      let { state, version, pos } = folded
      for (const logged of events) {
        state = decider.evolve(state, decodeOwn(codec, logged).event)
        version = logged.ver
        pos = logged.pos
      }
      folded = { epoch: head.epoch, state, version, pos }
      if (events.length < PAGE) break
    }
    snapshots.put(decider, stream, folded)
    return folded
  }

  /** The head is locked before everything that is read here, so all of it is still true at the commit. */
  async function append(
    stream: string,
    expected: number,
    fresh: readonly Omit<LogEvent, 'pos'>[],
    guard: ((tx: Transaction<Database>) => Promise<void>) | undefined,
  ): Promise<{ head: Head; events: readonly Event[] }> {
    return await db.transaction().execute(async (tx) => {
      const head = await advanceHead(tx, fresh.length)
      const version = await lastVersion(tx, stream)
      if (version !== expected) {
        throw new VersionConflictError(`${stream} is at version ${version}, not ${expected}`)
      }
      await guard?.(tx)
      const first = head.pos - BigInt(fresh.length) + 1n
      const logged = fresh.map((event, index) => ({ ...event, pos: first + BigInt(index) }))
      await insertEvents(tx, logged)
      // Decoded again, so that what is applied now is what a rebuild will apply.
      const recorded = logged.map((event) => decodeOwn(codec, event))
      await applyInline(tx, projections, recorded)
      await sql`select pg_notify(${channel}, ${String(head.pos)})`.execute(tx)
      return { head, events: recorded.map(({ event }) => event) }
    })
  }

  async function execute<State, Command, E extends Event>(order: {
    stream: string
    decider: Decider<State, Command, E>
    command: Command
    actor: { by: string; cause: string }
    guard?: (tx: Transaction<Database>) => Promise<void>
  }): Promise<{ state: State; pos: bigint }> {
    const { stream, command, actor, guard } = order
    const decider = ofOneStream<State, Command, E, Event>(order.decider)
    const { state, version, pos } = await load(stream, decider)
    const at = now()
    const decided = decider.decide(command, state, { by: actor.by, now: at })
    if (decided.length === 0) return { state, pos }
    const traceparent = currentTraceparent()
    const fresh = toNewEvents({ codec, stream, version, events: decided, actor, at, traceparent })
    const { head, events } = await append(stream, version, fresh, guard).catch(explain)
    committed(head)
    return {
      state: events.reduce((folded, event) => decider.evolve(folded, event), state),
      pos: head.pos,
    }
  }

  function explain(error: unknown): never {
    if (error instanceof pg.DatabaseError && error.constraint !== undefined) {
      for (const { conflicts } of projections) {
        const rejection = conflicts?.[error.constraint]
        if (rejection !== undefined) throw rejection()
      }
    }
    throw error
  }

  return {
    load: async (stream, decider) => {
      const { state, version } = await load(stream, ofOneStream(decider))
      return { state, version }
    },
    execute: async (order) => await retryOnConflict(async () => await execute(order)),
  }
}

/** A stream holds the events of its own aggregate only, though the codec knows those of all. */
function ofOneStream<State, Command, E extends Event, Event extends DomainEvent>(
  decider: Decider<State, Command, E>,
): Decider<State, Command, Event> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what this decider's stream holds, it has decided
  return decider as Decider<State, Command, Event>
}
