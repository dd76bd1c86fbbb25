import type { Actor } from '@postern/eventing'
import { growEdge, leafHash, type NoteSigner, type TreeEdge } from '@postern/tlog'
import type { Kysely, Transaction } from 'kysely'
import type { AuditDatabase } from '../database.ts'
import type { ProducerKey } from '../producer/producer-id.ts'
import {
  type ProducerRepository,
  type ProducerState,
  readProducerStates,
} from '../producer/producer-repository.ts'
import { insertRuns, readStoredNumbers } from '../producer/producer-runs.ts'
import { type IndexedEntry, toLogEntry } from '../record/log-entry.ts'
import { type BlockRecord, indexRecords, readTail } from '../record/record-index.ts'
import { insertEntries } from './bundle-table.ts'
import { type LogHead, loadEdge, lockForWriting, readLogHead, writeLogHead } from './log-head.ts'
import { writeTiles } from './tile-table.ts'

/** A contiguous run of one producer's records. */
export type Delivery = {
  readonly producer: ProducerKey
  /** Number of the first record, from 1. */
  readonly first: bigint
  readonly records: readonly Uint8Array[]
  readonly actor: Actor
}

/** The log as a writer left it. It is still so while the head is the same: whatever is written moves it. */
type Left = {
  readonly head: LogHead
  readonly edge: TreeEdge
  /** The entries that are in no full block yet. */
  readonly tail: readonly BlockRecord[]
  readonly producers: ReadonlyMap<string, ProducerState>
}

type Written = Pick<Left, 'head' | 'edge' | 'tail'> & { readonly entries: readonly IndexedEntry[] }

/** Another writer was here first: look again. */
class OutrunError extends Error {}

const ATTEMPTS_MAX = 5
const PRODUCERS_KEPT_MAX = 1000

export type LogWriter = ReturnType<typeof createLogWriter>

/**
 * Writes deliveries into the log: entries, what searches look at, tiles and the signed checkpoint in one
 * transaction. Several writers on one database take turns; each finds out under the lock whether
 * another wrote since, and then reads the edge of the tree and the state of producers anew.
 */
export function createLogWriter(needs: {
  db: Kysely<AuditDatabase>
  producers: ProducerRepository
  signer: NoteSigner
  /** Entries that are in the log for good, in their order. */
  onEntries: (entries: readonly IndexedEntry[]) => void
  now: () => Date
}) {
  const { db, producers, signer, onEntries, now } = needs
  let left: Left | undefined

  /** Either all of these are in the log afterwards or none. */
  async function commit(step: Step): Promise<void> {
    let written: Written | undefined
    const work = async (tx: Transaction<AuditDatabase>) => {
      await lockForWriting(tx)
      written = await writeStep(tx, step)
    }
    if (step.eventful === undefined) {
      await db.transaction().execute(work)
    } else {
      await producers.takeDelivery(step.eventful, work)
    }
    if (written === undefined) throw new OutrunError('the producer was registered meanwhile')
    const { head, edge, tail, entries } = written
    left = { head, edge, tail, producers: statesAfter(step, left?.producers) }
    onEntries(entries)
  }

  async function writeStep(
    tx: Transaction<AuditDatabase>,
    { deliveries, expected }: Step,
  ): Promise<Written> {
    const head = await readLogHead(tx, signer.verifierKey, left?.head)
    if (head !== left?.head) {
      left = undefined
      await checkStates(tx, expected)
    }
    const before = left?.edge ?? (await loadEdge(tx, head))
    const tailBefore = left?.tail ?? (await readTail(tx, head.size))
    const fresh = await freshRecords(tx, deliveries, expected)
    if (fresh.length === 0) return { head, edge: before, tail: tailBefore, entries: [] }

    const storedAt = now().toISOString()
    const entries = fresh.map((record, at) => ({
      ...toLogEntry(record),
      idx: head.size + at,
      number: record.number,
      producerId: record.producerId,
      storedAt,
    }))
    await insertEntries(tx, entries, storedAt)
    await insertRuns(tx, entries)
    for (const { idx, invalidRecord } of entries) {
      if (invalidRecord === undefined) continue
      const body = Buffer.from(invalidRecord)
      await tx.insertInto('invalid_record').values({ idx, body }).execute()
    }
    const tail = await indexRecords(tx, { tail: tailBefore, records: entries })
    const {
      edge: after,
      tiles,
      root,
    } = growEdge(
      before,
      entries.map(({ body }) => leafHash(body)),
    )
    await writeTiles(tx, tiles)
    return {
      head: await writeLogHead(tx, { size: after.frontier.size, root }, signer),
      edge: after,
      tail,
      entries: entries.map(({ idx, body, event }) => ({ index: idx, body, event })),
    }
  }

  async function statesOf(ids: readonly string[]): Promise<ReadonlyMap<string, ProducerState>> {
    const known = left?.producers
    return known !== undefined && ids.every((id) => known.has(id))
      ? known
      : await readProducerStates(db, ids)
  }

  return {
    /**
     * Answers, for each delivery, the number up to which everything of its producer is stored.
     *
     * @throws LogDamagedError when the log is not what was signed: nothing is written onto it
     */
    async write(deliveries: readonly Delivery[]): Promise<readonly bigint[]> {
      for (let attempt = 1; ; attempt += 1) {
        const ids = [...new Set(deliveries.map(({ producer }) => producer.id))]
        const steps = planSteps(deliveries, await statesOf(ids))
        try {
          for (const step of steps) await commit(step)
          return steps.flatMap(({ stored }) => stored)
        } catch (error) {
          left = undefined
          if (!(error instanceof OutrunError) || attempt === ATTEMPTS_MAX) throw error
        }
      }
    },
  }
}

/** Deliveries that are written in one transaction. */
type Step = {
  readonly deliveries: readonly Delivery[]
  /** What each producer must have stored before, for this plan to hold. */
  readonly expected: ReadonlyMap<string, bigint>
  /** For each delivery: what its producer has stored after it. */
  readonly stored: readonly bigint[]
  /** Present where an event goes with it: its only delivery is from a new producer, or after a gap. */
  readonly eventful?: Delivery & { readonly stored: bigint }
}

/** Deliveries in their order; those that events go with apart, since an event has a transaction. */
export function planSteps(
  deliveries: readonly Delivery[],
  states: ReadonlyMap<string, ProducerState>,
): readonly Step[] {
  const steps: Step[] = []
  const now = new Map(states)
  let quiet: { deliveries: Delivery[]; expected: Map<string, bigint>; stored: bigint[] } | undefined
  for (const delivery of deliveries) {
    const { id } = delivery.producer
    const { registered, stored } = now.get(id) ?? { registered: false, stored: 0n }
    const last = delivery.first + BigInt(delivery.records.length) - 1n
    const after = last > stored ? last : stored
    now.set(id, { registered: true, stored: after })
    if (!registered || delivery.first > stored + 1n) {
      quiet = undefined
      steps.push({
        deliveries: [delivery],
        expected: new Map([[id, stored]]),
        stored: [after],
        eventful: { ...delivery, stored },
      })
      continue
    }
    if (quiet === undefined) {
      quiet = { deliveries: [], expected: new Map(), stored: [] }
      steps.push(quiet)
    }
    quiet.deliveries.push(delivery)
    quiet.stored.push(after)
    if (!quiet.expected.has(id)) quiet.expected.set(id, stored)
  }
  return steps
}

/** What a step leaves of its producers, and what was known of others. */
function statesAfter(
  { deliveries, stored }: Step,
  known: ReadonlyMap<string, ProducerState> = new Map(),
): ReadonlyMap<string, ProducerState> {
  const states = new Map(known.size < PRODUCERS_KEPT_MAX ? known : [])
  for (const [at, { producer }] of deliveries.entries()) {
    states.set(producer.id, { registered: true, stored: stored[at] ?? 0n })
  }
  return states
}

/** @throws OutrunError where another writer stored something of them */
async function checkStates(
  tx: Transaction<AuditDatabase>,
  expected: ReadonlyMap<string, bigint>,
): Promise<void> {
  const states = await readProducerStates(tx, [...expected.keys()])
  for (const [id, stored] of expected) {
    if (states.get(id)?.stored !== stored) throw new OutrunError('another writer was first')
  }
}

/** The records that are not stored yet, in order. Late ones that fill a gap are among them. */
async function freshRecords(
  tx: Transaction<AuditDatabase>,
  deliveries: readonly Delivery[],
  expected: ReadonlyMap<string, bigint>,
) {
  const fresh: { producerId: string; producer: string; number: bigint; record: Uint8Array }[] = []
  const taken = new Set<string>()
  for (const { producer, first, records } of deliveries) {
    const stored = expected.get(producer.id) ?? 0n
    const wanted = { producerId: producer.id, first, count: records.length }
    const repeated = first <= stored ? await readStoredNumbers(tx, wanted) : new Set<bigint>()
    for (const [at, record] of records.entries()) {
      const number = first + BigInt(at)
      const key = `${producer.id} ${number}`
      if (repeated.has(number) || taken.has(key)) continue
      taken.add(key)
      fresh.push({ producerId: producer.id, producer: producer.name, number, record })
    }
  }
  return fresh
}
