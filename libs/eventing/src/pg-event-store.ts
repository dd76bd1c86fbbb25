import { currentTraceparent } from '@postern/telemetry'
import { type Kysely, sql, type Transaction } from 'kysely'
import pg from 'pg'
import type { Executor } from './database.ts'
import type { Decider, DomainEvent } from './decider.ts'
import { decodeOwn } from './decode-recorded.ts'
import { type Actor, type EventStore, VersionConflictError } from './event-store.ts'
import {
  advanceHead,
  type Head,
  insertEvents,
  type LogEvent,
  lastVersion,
  lockHead,
  readStream,
} from './log-table.ts'
import { toNewEvents } from './new-events.ts'
import { applyInline, type Projections } from './projector.ts'
import { retryOnConflict } from './retry-on-conflict.ts'
import { createSnapshotCache, type Snapshot } from './snapshot-cache.ts'

const PAGE = 1000
const UNLOCKED_ATTEMPTS = 3

type Order<Database, State, Command, Event extends DomainEvent> = {
  readonly stream: string
  readonly decider: Decider<State, Command, Event>
  readonly command: Command
  readonly actor: Actor
  readonly guard?: (tx: Transaction<Database>) => Promise<void>
}

type Decided<State> = {
  readonly state: State
  readonly version: number
  readonly pos: bigint
  readonly fresh: readonly Omit<LogEvent, 'pos'>[]
}

/** `head` only when something was written. */
type Appended<State> = { readonly state: State; readonly pos: bigint; readonly head?: Head }

export type PgEventStoreNeeds<Database, Event extends DomainEvent> = Projections<
  Database,
  Event
> & {
  readonly db: Kysely<Database>
  readonly channel: string
  readonly now: () => Date
  /** Right after each commit, with the new head. Must not throw. */
  readonly committed: (head: Head) => void
  readonly conflicted: () => void
}

/** The event store on PostgreSQL. */
export function createPgEventStore<Database, Event extends DomainEvent>(
  needs: PgEventStoreNeeds<Database, Event>,
): EventStore<Database, Event> {
  const { db, codec, projections, channel, now, committed, conflicted } = needs
  const snapshots = createSnapshotCache()

  async function load<State>(
    from: Executor,
    stream: string,
    decider: { readonly initial: State; evolve(state: State, event: Event): State },
  ): Promise<Snapshot<State>> {
    const cached = snapshots.get(decider, stream)
    let folded = cached ?? { epoch: '', state: decider.initial, version: 0, pos: 0n }
    for (;;) {
      const { head, events } = await readStream(from, stream, folded.version, PAGE)
      if (folded.epoch !== '' && folded.epoch !== head.epoch) {
        snapshots.drop(decider, stream)
        return await load(from, stream, decider)
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

  async function decide<State, Command>(
    from: Executor,
    order: Order<Database, State, Command, Event>,
  ): Promise<Decided<State>> {
    const { stream, decider, command, actor } = order
    const { state, version, pos } = await load(from, stream, decider)
    const at = now()
    const events = decider.decide(command, state, { by: actor.by, now: at })
    if (events.length === 0) return { state, version, pos, fresh: [] }
    const traceparent = currentTraceparent()
    const fresh = toNewEvents({ codec, stream, version, events, actor, at, traceparent })
    return { state, version, pos, fresh }
  }

  /** The head is locked before everything that is read here, so all of it is still true at the commit. */
  async function append<State, Command>(
    tx: Transaction<Database>,
    { stream, decider, guard }: Order<Database, State, Command, Event>,
    { state, version, fresh }: Decided<State>,
  ): Promise<Appended<State>> {
    const head = await advanceHead(tx, fresh.length)
    const current = await lastVersion(tx, stream)
    if (current !== version) {
      throw new VersionConflictError(`${stream} is at version ${current}, not ${version}`)
    }
    await guard?.(tx)
    const first = head.pos - BigInt(fresh.length) + 1n
    const logged = fresh.map((event, index) => ({ ...event, pos: first + BigInt(index) }))
    await insertEvents(tx, logged)
    // Decoded again, so that what is applied now is what a rebuild will apply.
    const recorded = logged.map((event) => decodeOwn(codec, event))
    await applyInline(tx, projections, recorded)
    await sql`select pg_notify(${channel}, ${String(head.pos)})`.execute(tx)
    const folded = recorded.reduce((before, { event }) => decider.evolve(before, event), state)
    return { state: folded, pos: head.pos, head }
  }

  /** Decides without a lock, so that deciding costs other writers nothing. */
  async function attempt<State, Command>(
    order: Order<Database, State, Command, Event>,
  ): Promise<Appended<State>> {
    const decided = await decide(db, order)
    if (decided.fresh.length === 0) return decided
    return await db.transaction().execute(async (tx) => await append(tx, order, decided))
  }

  /** For one that lost several times: nobody can come first now. */
  async function attemptAlone<State, Command>(
    order: Order<Database, State, Command, Event>,
  ): Promise<Appended<State>> {
    return await db.transaction().execute(async (tx) => {
      await lockHead(tx)
      const decided = await decide(tx, order)
      return decided.fresh.length === 0 ? decided : await append(tx, order, decided)
    })
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

  async function execute<State, Command, E extends Event>(
    order: Order<Database, State, Command, E>,
  ): Promise<{ state: State; pos: bigint }> {
    const decider = ofOneStream<State, Command, E, Event>(order.decider)
    return await retryOnConflict(async (tried) => {
      if (tried > 1) conflicted()
      const own = { ...order, decider }
      const appending = tried <= UNLOCKED_ATTEMPTS ? attempt(own) : attemptAlone(own)
      const { state, pos, head } = await appending.catch(explain)
      if (head !== undefined) committed(head)
      return { state, pos }
    })
  }

  return {
    load: async (stream, decider) => {
      const { state, version } = await load(db, stream, ofOneStream(decider))
      return { state, version }
    },
    execute: async (order) => await execute(order),
  }
}

/** A stream holds the events of its own aggregate only, though the codec knows those of all. */
function ofOneStream<State, Command, E extends Event, Event extends DomainEvent>(
  decider: Decider<State, Command, E>,
): Decider<State, Command, Event> {
  // What this decider's stream holds, it has decided.
  return decider as Decider<State, Command, Event>
}
