import { processEnvironment, SettingsError } from '@postern/config'
import type { DomainEvent } from '@postern/eventing'
import { stopOnSignal } from '@postern/lifecycle'
import { createLog, flushTelemetry, type Log } from '@postern/telemetry'
import type { ServiceDefinition } from './definition.ts'
import { rebuildService } from './rebuild-service.ts'
import { runService, stopMsMax } from './run-service.ts'
import { describeSettings, readSettings } from './settings.ts'

/** Clients, bus, log, telemetry. */
const OTHERS_STOP_MS = 20_000

/**
 * All that a service's main.ts does: no argument runs it until a signal comes; `--check` reads the
 * settings and ends; `rebuild [--verify]` rebuilds the projections; `--help` says what there is.
 */
export async function runMain<Config, Database, Event extends DomainEvent>(
  definition: ServiceDefinition<Config, Database, Event>,
): Promise<void> {
  const [, , ...args] = process.argv
  const env = processEnvironment()
  const say = (text: string) => void process.stdout.write(`${text}\n`)
  try {
    switch (args.join(' ')) {
      case '':
        return await runUntilSignal(definition)
      case '--check':
        readSettings(definition, env)
        return say(`${definition.name}: the settings are usable`)
      case 'rebuild':
      case 'rebuild --verify': {
        const isEqual = await rebuildService(definition, env, { verify: args.length > 1, say })
        if (!isEqual) process.exitCode = 1
        return
      }
      case '--help':
        return say(helpOf(definition))
      default:
        process.stderr.write(`unknown arguments: ${args.join(' ')}\n${helpOf(definition)}\n`)
        process.exitCode = 2
    }
  } catch (error) {
    process.exitCode = 1
    report(definition.name, error)
  }
}

async function runUntilSignal<Config, Database, Event extends DomainEvent>(
  definition: ServiceDefinition<Config, Database, Event>,
): Promise<void> {
  const env = processEnvironment()
  const { shared, own } = readSettings(definition, env)
  const log: Log = createLog({ name: definition.name, level: shared.logLevel })
  const starting = runService(definition, env, { log, processMetrics: true })
  // A signal while it starts: it starts, then stops, as nothing else would be clean.
  const stop = async () => {
    await (await starting).stop()
    await flushTelemetry()
  }
  stopOnSignal({ stop, log, graceMs: stopMsMax(definition, own) + OTHERS_STOP_MS })
  await starting
}

/** To a person who started it: one message, and the causes. */
function report(name: string, error: unknown): void {
  if (error instanceof SettingsError) {
    process.stderr.write(`${error.message}\n`)
    return
  }
  createLog({ name }).error({ err: error }, 'ended')
}

function helpOf<Config, Database, Event extends DomainEvent>(
  definition: ServiceDefinition<Config, Database, Event>,
): string {
  return [
    `Postern ${definition.name}`,
    '',
    'Usage: main [--check | rebuild [--verify] | --help]',
    '  (nothing)         run until SIGTERM or SIGINT',
    '  --check           read the settings, say what is wrong with them, and end',
    '  rebuild           empty every projection and fold the log again',
    '  rebuild --verify  the same, but keep what differs and exit with 1',
    '',
    'Settings, from the environment or the file:',
    describeSettings(definition),
  ].join('\n')
}
