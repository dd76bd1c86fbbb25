import type { Environment } from '@postern/config'
import type { DomainEvent } from '@postern/eventing'
import { createClosingStack } from '@postern/lifecycle'
import { createLog, createMetrics } from '@postern/telemetry'
import type { ServiceDefinition } from './definition.ts'
import { readSettings } from './settings.ts'

/** Rebuilds a service's projections from its log, says what came out, and answers whether all were equal. */
export async function rebuildService<Config, Database, Event extends DomainEvent>(
  definition: ServiceDefinition<Config, Database, Event>,
  env: Environment,
  { verify, say }: { verify: boolean; say: (text: string) => void },
): Promise<boolean> {
  const settings = readSettings(definition, env)
  const { natsUrl } = settings.shared
  const { name } = definition
  const log = createLog({ name, level: 'warn' })
  await using stack = createClosingStack({ log })
  if (definition.log === undefined || natsUrl === undefined) {
    throw new Error(`${name} owns no log that could be rebuilt`)
  }
  const { connectBus } = await import('@postern/bus')
  const { openLog } = await import('./open-log.ts')
  const bus = connectBus({ url: natsUrl.reveal(), name: `${name}-rebuild`, log })
  stack.defer('bus', () => bus.close())
  const eventLog = await openLog(definition, settings, {
    bus,
    log,
    metrics: createMetrics(name),
    now: () => new Date(),
  })
  if (eventLog === undefined) throw new Error(`${name} owns no log that could be rebuilt`)
  stack.defer('event log', () => eventLog.stop())

  const report = await eventLog.rebuild({ verify })
  say(`${name}: rebuilt up to position ${report.pos}`)
  for (const { projection, events, equal, replaced } of report.projections) {
    const verdict = equal ? 'equal' : `DIFFERENT, ${replaced ? 'replaced' : 'kept as it was'}`
    say(`  ${projection}: ${events} events, ${verdict}`)
  }
  const { trustDomain } = settings.shared
  const own = { config: settings.own, trustDomain, db: eventLog.db, verify, say }
  const isOwnEqual = (await definition.rebuildOwn?.(own)) ?? true
  return report.equal && isOwnEqual
}
