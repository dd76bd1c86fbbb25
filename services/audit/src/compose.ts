import { createRecentItems } from '@postern/eventing'
import { AuditServiceDefinition } from '@postern/proto/postern/audit/v1/audit'
import { register } from '@postern/rpc'
import type { Composed, Runtime, ServiceDefinition } from '@postern/service'
import { loadSigner } from './adapters/signing-key.ts'
import type { AuditConfig } from './config.ts'
import type { AuditDatabase } from './database.ts'
import { createIngestRpc } from './ingest/ingest-rpc.ts'
import { ensureLogHead, LogDamagedError, loadEdge, readLogHead } from './log/log-head.ts'
import { createLogReader } from './log/log-reader.ts'
import { createLogHandlers } from './log/log-rpc.ts'
import { verifyStoredLog } from './log/log-verification.ts'
import { createLogWriter } from './log/log-writer.ts'
import { createSequencer } from './log/sequencer.ts'
import type { ProducerEvent } from './producer/producer.ts'
import { createProducerRepository, readProducerStates } from './producer/producer-repository.ts'
import type { IndexedEntry } from './record/log-entry.ts'
import { rebuildRecords } from './record/rebuild-records.ts'
import { createRecordHandlers } from './record/record-rpc.ts'
import { searchRecords } from './record/record-search.ts'
import { auditSignals } from './signals.ts'
import { createAuditPublisher } from './stream/audit-publisher.ts'
import { createLogTail } from './stream/log-tail.ts'

type AuditDefinition = ServiceDefinition<AuditConfig, AuditDatabase, ProducerEvent>
type AuditRuntime = Runtime<AuditConfig, AuditDatabase, ProducerEvent>
type AuditRebuild = Parameters<NonNullable<AuditDefinition['rebuildOwn']>>[0]

export async function composeAudit({
  config,
  trustDomain,
  db,
  store,
  bus,
  log,
  metrics,
  now,
}: AuditRuntime): Promise<Composed> {
  const signer = await loadSigner(originOf(config, trustDomain), config.signingKeyFile)
  const { verifierKey } = signer
  await ensureLogHead(db, signer)
  // A log that was altered or is signed with another key is not written onto.
  await loadEdge(db, await readLogHead(db, verifierKey))

  const signals = auditSignals(metrics)
  const reader = createLogReader({ db, verifierKey })
  const recent = createRecentItems<IndexedEntry>({ bytesOf: ({ body }) => body.length })
  const publisher = createAuditPublisher({
    bus,
    tail: createLogTail(db, recent),
    origin: signer.name,
    checkpoint: async () => (await reader.head()).note,
    retention: { maxAgeSeconds: config.streamMaxAgeSeconds, maxBytes: config.streamMaxBytes },
    signals,
    log,
    now,
  })
  const sequencer = createSequencer({
    writer: createLogWriter({
      db,
      producers: createProducerRepository(store),
      signer,
      onEntries(entries) {
        for (const entry of entries) recent.add(entry.index, entry)
      },
      now,
    }),
    log,
    signals,
    onWritten: publisher.wake,
  })

  return {
    rpc: [
      createIngestRpc({
        sequencer,
        storedOf: async ({ id }) => (await readProducerStates(db, [id])).get(id)?.stored ?? 0n,
      }),
      register(AuditServiceDefinition, {
        ...createLogHandlers(reader, verifierKey),
        ...createRecordHandlers({
          log: reader,
          search: async (wanted) => await searchRecords(db, wanted),
        }),
      }),
    ],
    async start() {
      publisher.start()
    },
    async ready() {
      return await problemOf(reader.head)
    },
    async stop() {
      await sequencer.stop()
      await publisher.stop()
    },
  }
}

/** The log itself is primary data: it is verified, and what searches look at is folded from it again. */
export async function rebuildAudit({
  config,
  trustDomain,
  db,
  verify,
  say,
}: AuditRebuild): Promise<boolean> {
  const signer = await loadSigner(originOf(config, trustDomain), config.signingKeyFile)
  const { size, problems } = await verifyStoredLog(db, signer.verifierKey)
  say(`  log: ${size} entries, ${problems.length === 0 ? 'verified' : 'DAMAGED'}`)
  for (const problem of problems) say(`    ${problem}`)
  const records = await rebuildRecords(db, { verify }).catch(orDamage)
  if (records instanceof LogDamagedError) {
    say(`  records: ${records.message}`)
    return false
  }
  const { entries, different } = records
  const verdict = `${different} rows DIFFERENT, ${verify ? 'kept as they were' : 'replaced'}`
  say(`  records: ${entries} entries, ${different === 0 ? 'equal' : verdict}`)
  return problems.length === 0 && different === 0
}

function orDamage(error: unknown): LogDamagedError {
  if (error instanceof LogDamagedError) return error
  throw error
}

function originOf({ logOrigin }: AuditConfig, trustDomain: string): string {
  return logOrigin ?? `${trustDomain}/audit`
}

async function problemOf(head: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await head()
    return undefined
  } catch (error) {
    return error instanceof LogDamagedError ? error.message : 'the audit log cannot be read'
  }
}
