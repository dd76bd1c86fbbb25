import { counterIn, type Log, type Metrics } from '@postern/telemetry'
import { END_REASONS, type EndReason } from './session/session.ts'

export type SessionSignals = ReturnType<typeof createSessionSignals>

const NAMES = new Map<number, string>(
  Object.entries(END_REASONS).map(([name, number]) => [number, name]),
)

/** What the session service tells its operators. */
export function createSessionSignals({ log, metrics }: { log: Log; metrics: Metrics }) {
  const opened = counterIn(metrics, {
    name: 'postern_session_opened_total',
    help: 'Sessions opened',
  })
  const ended = counterIn(metrics, {
    name: 'postern_session_ended_total',
    help: 'Sessions ended by this service itself, by reason',
    labelNames: ['reason'],
  })
  const late = counterIn(metrics, {
    name: 'postern_session_account_late_total',
    help: 'Requests for a session whose account was not made in time',
  })
  return {
    opened: (fields: { session: string; user: string; cluster: string }) => {
      opened.inc()
      log.info(fields, 'session opened')
    },
    ended: (fields: { session: string; reason: EndReason }) => {
      const reason = NAMES.get(fields.reason) ?? 'unknown'
      ended.inc({ reason })
      log.info({ ...fields, reason }, 'session ended')
    },
    accountLate: (fields: { session: string; problem: string }) => {
      late.inc()
      log.warn(fields, 'account not made in time')
    },
    keepingFailed: (fields: { err: unknown }) =>
      log.warn(fields, 'sessions could not be kept; trying again'),
    lookingFailed: (fields: { err: unknown }) =>
      log.warn(fields, 'changes of sessions could not be read; trying again'),
  }
}
