import type { Log } from '@postern/telemetry'
import type { TokenBucket } from '../limits/token-bucket.ts'
import { type AuditStage, type AuditSubject, auditRecord } from './record.ts'
import type { Spool } from './spool.ts'

/** Writes what happened to the spool. */
export type Recorder = {
  /** Resolves when the record is durable. Rejects when it could not be: then nothing may be forwarded. */
  durable(subject: AuditSubject, stage: Omit<AuditStage, 'at'>): Promise<void>
  /** Writes with the next group, without waiting for it. */
  note(subject: AuditSubject, stage: Omit<AuditStage, 'at'>): void
  /** As `note`, for what anybody on the network can cause: bounded, and counted where it is not written. */
  noteAnonymous(subject: AuditSubject, stage: Omit<AuditStage, 'at'>): void
}

export function createRecorder(needs: {
  spool: Spool
  now: () => Date
  anonymousBudget: TokenBucket
  onLost: () => void
  log: Log
}): Recorder {
  const { spool, now, anonymousBudget, log } = needs
  let unwritten = 0

  function note(subject: AuditSubject, stage: Omit<AuditStage, 'at'>): void {
    spool.append(auditRecord(subject, { ...stage, at: now() })).catch((error: unknown) => {
      needs.onLost()
      log.error(
        { err: error, auditId: subject.auditId, stage: stage.stage },
        'audit record was lost',
      )
    })
  }

  return {
    async durable(subject, stage) {
      await spool.append(auditRecord(subject, { ...stage, at: now() }))
    },
    note,
    noteAnonymous(subject, stage) {
      if (!anonymousBudget.take(now().getTime())) {
        unwritten += 1
        return
      }
      const suppressed = unwritten === 0 ? undefined : String(unwritten)
      unwritten = 0
      note(subject, { ...stage, annotations: { ...stage.annotations, suppressed } })
    },
  }
}
