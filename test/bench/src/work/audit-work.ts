import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { createLog } from '@postern/telemetry'
import { type AuditSubject, auditRecord } from '../../../../services/gateway/src/audit/record.ts'
import { createRecorder } from '../../../../services/gateway/src/audit/recorder.ts'
import { startShipping } from '../../../../services/gateway/src/audit/ship.ts'
import { openSpool } from '../../../../services/gateway/src/audit/spool.ts'
import { createTokenBucket } from '../../../../services/gateway/src/limits/token-bucket.ts'
import { admit } from '../../../../services/gateway/src/request/admit.ts'
import { auditSubject } from '../../../../services/gateway/src/request/audit-subject.ts'
import { gatewayView } from './gateway-view.ts'
import { microsEach } from './repeat.ts'

const PER_SECOND = 10_000
const TICK_MS = 2
const WARM_SECONDS = 3
const MEASURED_SECONDS = 3
/** A spool takes 20,000 that are not on the disk yet; a busy machine falls behind. */
const UNWRITTEN_MAX = 5_000
const SPOOL_BYTES_MAX = 1024 ** 3
const SHIP_MS_MAX = 5_000
const STAGE = { stage: 'ResponseComplete', response: { code: 200 } } as const

export type AuditWork = {
  /** Putting together what is known of a request, and encoding it as a record. */
  readonly recordMicros: number
  /** CPU of the process for a record: that, made durable, read back, and handed on in batches. */
  readonly wholeMicros: number
}

/**
 * What the record of a request costs the gateway: its own recorder, spool and shipping, on a disk, at ten
 * thousand requests a second. The other end takes everything at once: the call to it is not counted.
 */
export async function measureAudit(now: Date): Promise<AuditWork> {
  const subjectOf = subjects(now)
  return {
    recordMicros: microsEach((n) => auditRecord(subjectOf(n), STAGE, new Date())),
    wholeMicros: await measureWhole(subjectOf),
  }
}

function subjects(now: Date): (n: number) => AuditSubject {
  const { view, headAt } = gatewayView(now)
  const { known } = admit(headAt(0), view, now)
  // The same object for all requests of a session, as in the gateway: what they share is encoded once.
  const session = { id: 'session-1', account: 'postern-jit/session-1' }
  const positions = { identity: 1200n, policy: 400n, 'tunnel-broker': 300n }
  return (n) =>
    auditSubject({
      auditId: `audit-${n}`,
      receivedAt: new Date(),
      head: headAt(n),
      known,
      allowed: true,
      reason: undefined,
      positions,
      gateway: 'gateway-1',
      session,
    })
}

async function measureWhole(subjectOf: (n: number) => AuditSubject): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), 'postern-bench-spool-'))
  const log = createLog({ name: 'bench', level: 'silent' })
  const spool = await openSpool({ dir, bytesMax: SPOOL_BYTES_MAX })
  let lost = 0
  const recorder = createRecorder({
    spool,
    now: () => new Date(),
    anonymousBudget: createTokenBucket({ perSecond: 1, burst: 1 }),
    onLost: () => {
      lost += 1
    },
    log,
  })
  const shipping = startShipping({
    spool,
    ingest: {
      append: ({ first, records }) =>
        Promise.resolve({ stored: first + BigInt(records.length) - 1n }),
    },
    log,
    wait: (ms, signal) => wait(ms, undefined, { signal, ref: false }),
    random: Math.random,
  })
  try {
    let noted = 0
    const work = {
      one: (n: number) => {
        noted += 1
        recorder.note(subjectOf(n), STAGE)
      },
      hasRoom: () => noted - Number(spool.last) < UNWRITTEN_MAX,
    }
    await cpuMicrosEach(work, WARM_SECONDS)
    const withRecords = await cpuMicrosEach(work, MEASURED_SECONDS)
    const clockAlone = await cpuMicrosEach(NOTHING, MEASURED_SECONDS)
    if (lost > 0) throw new Error(`${lost} audit records were lost`)
    return withRecords - clockAlone
  } finally {
    await shipping.stop(SHIP_MS_MAX)
    await spool.close()
    await rm(dir, { recursive: true, force: true })
  }
}

type Work = { readonly one: (n: number) => void; readonly hasRoom: () => boolean }

const NOTHING: Work = { one: () => undefined, hasRoom: () => true }

/** CPU of the whole process for each of ten thousand a second. */
async function cpuMicrosEach({ one, hasRoom }: Work, seconds: number): Promise<number> {
  const before = process.cpuUsage()
  const began = performance.now()
  const all = PER_SECOND * seconds
  for (let done = 0; done < all; ) {
    await wait(TICK_MS)
    const due = Math.min(all, Math.floor(((performance.now() - began) / 1000) * PER_SECOND))
    for (; done < due && hasRoom(); done += 1) one(done)
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / all
}
