import { messageOf } from '@postern/errors'
import type { Log } from '@postern/telemetry'
import { sql } from 'kysely'
import type { EventCodec } from './codec.ts'
import type { Executor } from './database.ts'
import type { DomainEvent } from './decider.ts'
import { decodeOwn } from './decode-recorded.ts'
import { type LogEvent, readLog } from './log-table.ts'
import { pause, pauseUnless } from './pause.ts'
import type { ProcessManager, ProcessManagerOptions } from './process-manager.ts'
import type { Signals } from './signals.ts'

const PAGE = 100
const POLL_MS = 1000
const RETRY_MS = 100
const RETRY_MS_MAX = 30_000
/** What is handled again after a crash at most, in time; a write for every event would be the larger cost. */
const CHECKPOINT_MS = 50
const HANDLE_MS_MAX = 60_000

export type ProcessManagerNeeds<Event extends DomainEvent> = {
  readonly db: Executor
  readonly service: string
  readonly codec: EventCodec<Event>
  readonly log: Log
  readonly onAppend: (listener: () => void) => () => void
  readonly signals: Signals
}

/** Another process is ahead: this one read an old checkpoint. */
class CheckpointMovedError extends Error {
  override readonly name = 'CheckpointMovedError'
}

export function createProcessManager<Event extends DomainEvent>(
  needs: ProcessManagerNeeds<Event>,
  { name, handle }: ProcessManagerOptions<Event>,
): { readonly manager: ProcessManager; readonly run: (signal: AbortSignal) => Promise<void> } {
  const { db, service, codec, onAppend, signals } = needs
  const log = needs.log.child({ processManager: name })
  const checkpoint = `process-manager:${name}`
  let saved = 0n
  let handled = 0n
  let problem: string | undefined

  const read = async (): Promise<bigint> => {
    const { rows } = await sql<{ pos: bigint }>`
      insert into checkpoint (name, version, pos) values (${checkpoint}, 1, 0)
      on conflict (name) do update set version = 1 returning pos`.execute(db)
    return rows[0]?.pos ?? 0n
  }

  const save = async (): Promise<void> => {
    if (handled === saved) return
    const { numAffectedRows } = await sql`
      update checkpoint set pos = ${handled} where name = ${checkpoint} and pos = ${saved}
    `.execute(db)
    if (numAffectedRows !== 1n) throw new CheckpointMovedError('the checkpoint was moved')
    saved = handled
    signals.handled.set({ process_manager: name }, Number(handled))
  }

  const handleOne = async (logged: LogEvent, signal: AbortSignal): Promise<void> => {
    for (let retryMs = RETRY_MS; !signal.aborted; retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)) {
      try {
        const deadline = AbortSignal.any([signal, AbortSignal.timeout(HANDLE_MS_MAX)])
        const key = `${service}:${name}:${logged.pos}`
        await handle(decodeOwn(codec, logged), { key, signal: deadline })
        handled = logged.pos
        problem = undefined
        return
      } catch (error) {
        problem = `the event at ${logged.pos} fails: ${messageOf(error)}`
        log.error({ pos: String(logged.pos), error: messageOf(error) }, 'an effect failed')
        await pause(retryMs * (0.5 + Math.random()), signal)
      }
    }
  }

  const run = async (signal: AbortSignal): Promise<void> => {
    saved = handled = await read()
    let savedAt = performance.now()
    try {
      while (!signal.aborted) {
        const { events } = await readLog(db, handled, PAGE)
        for (const logged of events) {
          await handleOne(logged, signal)
          if (signal.aborted) return
          if (performance.now() - savedAt > CHECKPOINT_MS) {
            await save()
            savedAt = performance.now()
          }
        }
        await save()
        if (events.length === 0) await pauseUnless(onAppend, POLL_MS, signal)
      }
    } finally {
      await save()
    }
  }

  return { manager: { position: () => handled, problem: () => problem }, run }
}
