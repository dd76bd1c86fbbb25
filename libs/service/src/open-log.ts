import type { Bus } from '@postern/bus'
import { type DomainEvent, type EventLog, openEventLog } from '@postern/eventing'
import type { Log, Metrics } from '@postern/telemetry'
import type { ServiceDefinition } from './definition.ts'
import { prefixOf, type Settings } from './settings.ts'

type LogNeeds = {
  readonly bus: Bus
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => Date
}

/**
 * Opens the service's event log, where it owns one. A PostgreSQL that is not there yet is waited for,
 * a bounded time; one that is lost later is not the end of the service.
 */
export async function openLog<Config, Database, Event extends DomainEvent>(
  definition: ServiceDefinition<Config, Database, Event>,
  settings: Settings<Config>,
  needs: LogNeeds,
): Promise<EventLog<Database, Event> | undefined> {
  const { name, log: owned } = definition
  if (owned === undefined) return undefined
  const { databaseUrl } = settings.standard
  const { rebuildOwn } = definition
  if (databaseUrl === undefined) throw new Error(`${prefixOf(name)}DATABASE_URL must be set`)
  return await openEventLog({
    ...owned,
    ...needs,
    databaseUrl: databaseUrl.reveal(),
    service: name,
    ...(rebuildOwn === undefined
      ? {}
      : {
          rebuildOwn: async (db, { verify }) =>
            await rebuildOwn({
              config: settings.own,
              trustDomain: settings.shared.trustDomain,
              db,
              verify,
              say: (text) => needs.log.info({ said: text.trim() }, 'rebuilding own data'),
            }),
        }),
  })
}
