import { setTimeout } from 'node:timers/promises'
import type { Bus } from '@postern/bus'
import { type DomainEvent, type EventLog, openEventLog } from '@postern/eventing'
import type { Log, Metrics } from '@postern/telemetry'
import type { ServiceDefinition } from './definition.ts'
import { prefixOf, type Settings } from './settings.ts'

export type LogNeeds = {
  readonly bus: Bus
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => Date
  /** How long a PostgreSQL that is not there yet is waited for. */
  readonly databaseMsMax: number
  readonly signal: AbortSignal
}

const RETRY_MS_MIN = 250
const RETRY_MS_MAX = 5_000

/**
 * Opens the service's event log, where it owns one. A database that cannot be reached is waited for,
 * a bounded time.
 * @throws Error when it stays away, or refuses for another reason
 */
export async function openLog<Config, Database, Event extends DomainEvent>(
  definition: ServiceDefinition<Config, Database, Event>,
  settings: Settings<Config>,
  needs: LogNeeds,
): Promise<EventLog<Database, Event> | undefined> {
  const { name, log: owned } = definition
  if (owned === undefined) return undefined
  const { databaseUrl } = settings.standard
  if (databaseUrl === undefined) throw new Error(`${prefixOf(name)}DATABASE_URL must be set`)
  const { bus, log, metrics, now } = needs
  const open = () =>
    openEventLog({
      ...owned,
      databaseUrl: databaseUrl.reveal(),
      service: name,
      bus,
      log,
      metrics,
      now,
    })
  return await whileUnreachable(open, needs)
}

async function whileUnreachable<T>(
  open: () => Promise<T>,
  { databaseMsMax, log, signal }: LogNeeds,
): Promise<T> {
  const until = performance.now() + databaseMsMax
  for (let attempt = 0; ; attempt++) {
    try {
      return await open()
    } catch (cause) {
      if (!isUnreachable(cause)) throw cause
      const delay = Math.min(RETRY_MS_MIN * 2 ** attempt, RETRY_MS_MAX) * (0.5 + Math.random() / 2)
      if (performance.now() + delay > until) {
        const seconds = Math.round(databaseMsMax / 1000)
        throw new Error(`PostgreSQL could not be reached for ${seconds} s`, { cause })
      }
      log.warn({ err: cause, attempt }, 'PostgreSQL cannot be reached, trying again')
      await setTimeout(delay, undefined, { signal })
    }
  }
}

// No socket, or the server is starting, stopping or full: classes 08, 53 and 57P of PostgreSQL.
const UNREACHABLE =
  /^(ECONN[A-Z]+|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOENT|ENOTFOUND|EAI_AGAIN|08\w{3}|53\w{3}|57P0\w)$/
// What pg says without a code.
const UNREACHABLE_TEXT = /connection terminated|timeout (expired|exceeded)/i

function isUnreachable(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if ('code' in error && typeof error.code === 'string' && UNREACHABLE.test(error.code)) return true
  if (UNREACHABLE_TEXT.test(error.message)) return true
  if (error instanceof AggregateError && error.errors.some(isUnreachable)) return true
  return isUnreachable(error.cause)
}
