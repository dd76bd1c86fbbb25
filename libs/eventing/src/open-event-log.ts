import type { DomainEvent } from './decider.ts'
import type { EventLog, EventLogOptions } from './event-log.ts'

/** Migrates, brings the projections up to date, and answers a log that can be used at once. */
export async function openEventLog<Database, Event extends DomainEvent>(
  options: EventLogOptions<Database, Event>,
): Promise<EventLog<Database, Event>> {
  throw new Error(`the log of ${options.service} is being built`)
}
