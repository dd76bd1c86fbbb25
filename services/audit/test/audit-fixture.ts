import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { connectBus } from '@postern/bus'
import { createRecentItems, openEventLog } from '@postern/eventing'
import { createMetrics } from '@postern/telemetry'
import { createSilentLog } from '@postern/telemetry/testing'
import { createNoteSigner } from '@postern/tlog'
import { sql } from 'kysely'
import type { AuditDatabase } from '../src/database.ts'
import { packBundle, unpackBundle } from '../src/log/entry-bundle.ts'
import { ensureLogHead } from '../src/log/log-head.ts'
import { createLogReader } from '../src/log/log-reader.ts'
import { createLogWriter, type Delivery } from '../src/log/log-writer.ts'
import { createSequencer } from '../src/log/sequencer.ts'
import { migrations } from '../src/migrations/index.ts'
import type { ProducerEvent } from '../src/producer/producer.ts'
import { producerCodec } from '../src/producer/producer-codec.ts'
import { producerKey } from '../src/producer/producer-id.ts'
import { createProducerRepository } from '../src/producer/producer-repository.ts'
import { producers } from '../src/producer/producers-projection.ts'
import type { IndexedEntry } from '../src/record/log-entry.ts'
import { auditSignals } from '../src/signals.ts'

export const testKey = generateKeyPairSync('ed25519').privateKey
/** Nobody listens there: what does not need the bus must work without it. */
const NO_BUS = 'nats://postern:nobody-listens@127.0.0.1:1'

/** The audit core on a database, as compose.ts builds it. */
export async function openAudit(
  databaseUrl: string,
  options: { natsUrl?: string; key?: KeyObject; onWritten?: () => void; now?: () => Date } = {},
) {
  const log = createSilentLog()
  const metrics = createMetrics('audit')
  const { natsUrl = NO_BUS, key = testKey, onWritten = () => undefined } = options
  const { now = () => new Date() } = options
  const bus = connectBus({ url: natsUrl, name: 'audit-test', log })
  const eventLog = await openEventLog<AuditDatabase, ProducerEvent>({
    databaseUrl,
    service: 'audit',
    codec: producerCodec,
    projections: [producers],
    migrations,
    bus,
    log,
    now,
  })
  const { db, store } = eventLog
  const signer = createNoteSigner('postern.test/audit', key)
  await ensureLogHead(db, signer)
  const recent = createRecentItems<IndexedEntry>({ bytesOf: ({ body }) => body.length })
  const repository = createProducerRepository(store)
  const writer = createLogWriter({
    db,
    producers: repository,
    signer,
    onEntries(entries) {
      for (const entry of entries) recent.add(entry.index, entry)
    },
    now,
  })
  const signals = auditSignals(metrics)
  const sequencer = createSequencer({ writer, log, signals, onWritten, gatherMs: 1 })
  const reader = createLogReader({ db, verifierKey: signer.verifierKey })
  return {
    bus,
    db,
    eventLog,
    log,
    reader,
    recent,
    sequencer,
    signals,
    verifierKey: signer.verifierKey,
    writer,
    async close() {
      await sequencer.stop()
      await eventLog.stop()
      await bus.close()
    },
  }
}

export type Audit = Awaited<ReturnType<typeof openAudit>>

export function spoolOf(gateway: string, spool = 'spool-1') {
  return producerKey(`spiffe://postern.test/gateway/${gateway}`, spool)
}

export function delivery(
  gateway: string,
  first: number,
  records: readonly Uint8Array[],
  spool?: string,
): Delivery {
  return {
    producer: spoolOf(gateway, spool),
    first: BigInt(first),
    records,
    actor: { by: `gateway:${gateway}`, cause: 'audit.v1.IngestService/AppendRecords' },
  }
}

/** Numbered records of a gateway: each is an intent or an outcome, and no two are alike. */
export function records(gateway: string, first: number, count: number): Buffer[] {
  return Array.from({ length: count }, (_, at) => record({ auditID: `${gateway}-${first + at}` }))
}

export function record(change: object = {}): Buffer {
  return Buffer.from(
    JSON.stringify({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: 'Metadata',
      auditID: 'audit-1',
      stage: 'RequestReceived',
      requestURI: '/api/v1/namespaces/shop/pods',
      verb: 'list',
      user: { username: 'lead' },
      objectRef: { resource: 'pods', namespace: 'shop' },
      requestReceivedTimestamp: '2026-11-21T09:30:00.123456Z',
      stageTimestamp: '2026-11-21T09:30:00.123456Z',
      annotations: { 'postern.dev/cluster': 'prod-1', 'postern.dev/decision': 'allow' },
      ...change,
    }),
  )
}

/** Every entry of the log, from the first. */
export async function allLeaves(audit: Pick<Audit, 'reader'>): Promise<Buffer[]> {
  const leaves: Buffer[] = []
  for (;;) {
    const more = await audit.reader.leaves(BigInt(leaves.length), 1000)
    if (more.length === 0) return leaves
    leaves.push(...more)
  }
}

/** Puts other entries into the bundle that has an entry, as whoever may switch the triggers off can. */
export async function rewriteBundle(
  db: Audit['db'],
  idx: number,
  change: (bodies: readonly Buffer[], first: number) => readonly Buffer[],
): Promise<void> {
  await sql`alter table entry_bundle disable trigger all`.execute(db)
  const bundles = await db
    .selectFrom('entry_bundle')
    .selectAll()
    .where('first_idx', '<=', idx)
    .orderBy('first_idx')
    .execute()
  const last = bundles.at(-1)
  if (last === undefined) throw new Error(`no bundle has entry ${idx}`)
  const first = Number(last.first_idx)
  const bodies = change(unpackBundle(last.bundle, last.entries), first)
  await db
    .updateTable('entry_bundle')
    .set({ entries: bodies.length, bundle: packBundle(bodies) })
    .where('first_idx', '=', first)
    .execute()
}

/** Alters one entry and leaves the others of its bundle as they are. */
export async function rewriteEntry(
  db: Audit['db'],
  idx: number,
  change: (body: Buffer) => Buffer,
): Promise<void> {
  await rewriteBundle(db, idx, (bodies, first) =>
    bodies.map((body, at) => (first + at === idx ? change(body) : body)),
  )
}

export function flipBit(body: Buffer, at: number): Buffer {
  const flipped = Buffer.from(body)
  flipped[at] = (flipped[at] ?? 0) ^ 1
  return flipped
}
