import { newId } from '@postern/ids'
import type { Log } from '@postern/telemetry'
import type { TokenBucket } from '../limits/token-bucket.ts'
import { type AuditStage, type AuditSubject, auditRecord } from './record.ts'
import type { Spool } from './spool.ts'

/** Writes what happened to the spool. */
export type Recorder = {
  /** Resolves when the record is durable. Rejects when it could not be: then nothing may be forwarded. */
  durable(subject: AuditSubject, stage: AuditStage): Promise<void>
  /** Writes with the next group, without waiting for it. */
  note(subject: AuditSubject, stage: AuditStage): void
  /** As `note`, for what anybody on the network can cause: bounded, and counted where it is not written. */
  noteAnonymous(subject: AuditSubject, stage: AuditStage): void
  /** Something no request could be read from. Bounded in the same way. */
  malformed(facts: { remoteAddress: string; problem: string; gateway: string }): void
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

  function note(subject: AuditSubject, noted: AuditStage): void {
    const { auditId } = subject
    const { stage } = noted
    // It waits with its record: all else that is known of the request need not.
    spool.put(auditRecord(subject, noted, now()), (error) => {
      needs.onLost()
      log.error({ err: error, auditId, stage }, 'audit record was lost')
    })
  }

  function noteAnonymous(subject: AuditSubject, stage: AuditStage): void {
    if (!anonymousBudget.take(now().getTime())) {
      unwritten += 1
      return
    }
    const suppressed = unwritten === 0 ? undefined : String(unwritten)
    unwritten = 0
    note(subject, { ...stage, annotations: { ...stage.annotations, suppressed } })
  }

  return {
    async durable(subject, stage) {
      await spool.append(auditRecord(subject, stage, now()))
    },
    note,
    noteAnonymous,
    malformed({ remoteAddress, problem, gateway }) {
      const subject: AuditSubject = {
        auditId: newId('audit'),
        receivedAt: now(),
        target: '',
        verb: '',
        client: { remoteAddress },
        decision: 'deny',
        annotations: { reason: `malformed request: ${problem}`, gateway },
      }
      noteAnonymous(subject, { stage: 'ResponseComplete', response: { code: 400 } })
    },
  }
}
