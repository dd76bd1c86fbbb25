import {
  type Environment,
  parseSettings,
  SettingsError,
  secretUrl,
  toSettingName,
} from '@postern/config'
import type { ServiceName } from '@postern/rpc'
import { LOG_LEVELS } from '@postern/telemetry'
import { z } from 'zod'
import { hostPort } from './host-port.ts'

/** What all services share. */
const sharedSettings = z.object({
  trustDomain: z
    .string()
    .regex(/^[a-z0-9.-]{1,255}$/, 'lower-case letters, digits, "." and "-"')
    .default('postern.internal')
    .describe('the trust domain of the installation'),
  natsUrl: secretUrl(['nats:', 'tls:'])
    .optional()
    .describe('nats://user:password@host:port; needed by everything that owns or follows a log'),
  logLevel: z.enum(LOG_LEVELS).default('info').describe(LOG_LEVELS.join(', ')),
  identityAddress: hostPort().optional().describe('where others reach the gRPC of identity'),
  policyAddress: hostPort().optional().describe('where others reach the gRPC of policy'),
  sessionAddress: hostPort().optional().describe('where others reach the gRPC of session'),
  tunnelBrokerAddress: hostPort().optional().describe('where others reach tunnel-broker'),
  auditAddress: hostPort().optional().describe('where others reach the gRPC of audit'),
})

/** What each service has under its own prefix. */
const standardSettings = z.object({
  listen: hostPort().optional().describe('where it serves gRPC; port 0 takes a free one'),
  httpListen: hostPort()
    .default('127.0.0.1:0')
    .describe('where it serves /livez, /readyz and /metrics over plain HTTP'),
  tlsDir: z.string().optional().describe('holds tls.crt, tls.key and ca.crt'),
  databaseUrl: secretUrl(['postgres:', 'postgresql:'])
    .optional()
    .describe('postgres://user:password@host:port/database; needed by those that own a log'),
})

type SharedSettings = z.output<typeof sharedSettings>
type StandardSettings = z.output<typeof standardSettings>

export type Settings<Config> = {
  readonly shared: Readonly<SharedSettings>
  readonly standard: Readonly<StandardSettings>
  readonly own: Readonly<Config>
  readonly addresses: Readonly<Partial<Record<ServiceName, string>>>
}

// Whoever reads these names: each part under its own prefix, the command line, tests, npm start.
const OTHERS =
  /^POSTERN_(IDENTITY|POLICY|SESSION|TUNNEL_BROKER|AUDIT|CONSOLE|GATEWAY|RELAY|AGENT|CLI|TEST|DEMO|START)_/

const SHARED_PREFIX = 'POSTERN_'

/** "tunnel-broker" → "POSTERN_TUNNEL_BROKER_". */
export function prefixOf(service: string): string {
  return `${SHARED_PREFIX}${service.replaceAll('-', '_').toUpperCase()}_`
}

/** @throws SettingsError that names every setting that cannot be used */
export function readSettings<Config>(
  definition: { name: string; settings: z.ZodType<Config>; log?: unknown },
  env: Environment,
): Settings<Config> {
  const prefix = prefixOf(definition.name)
  const elsewhere = new Set([
    ...namesIn(standardSettings, prefix),
    ...namesIn(sharedSettings, SHARED_PREFIX),
  ])
  const problems: string[] = []
  const attempt = <T>(parse: () => T): T | undefined => {
    try {
      return parse()
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error
      problems.push(...error.problems)
      return undefined
    }
  }
  const shared = attempt(() =>
    parseSettings(sharedSettings, env, {
      prefix: SHARED_PREFIX,
      isForeign: (name) => OTHERS.test(name),
    }),
  )
  const standard = attempt(() =>
    parseSettings(standardSettings, env, { prefix, isForeign: () => true }),
  )
  const own = attempt(() => parseSettings(definition.settings, env, { prefix, elsewhere }))
  if (definition.log !== undefined) {
    if (standard?.databaseUrl === undefined) problems.push(`${prefix}DATABASE_URL must be set`)
    if (shared?.natsUrl === undefined) problems.push('POSTERN_NATS_URL must be set')
  }
  if (shared === undefined || standard === undefined || own === undefined || problems.length > 0) {
    throw new SettingsError(definition.name, [...new Set(problems)])
  }
  return { shared, standard, own, addresses: addressesIn(shared) }
}

/** Every setting of the service with what it means, for --help. */
export function describeSettings(definition: { name: string; settings: z.ZodType }): string {
  const prefix = prefixOf(definition.name)
  const lines = [
    ...describe(definition.settings, prefix),
    ...describe(standardSettings, prefix),
    ...describe(sharedSettings, SHARED_PREFIX),
    ['POSTERN_CONFIG_FILE', 'a YAML file with a flat map of these names; the environment wins'],
  ]
  const width = Math.max(...lines.map(([name = '']) => name.length))
  return lines.map(([name = '', text = '']) => `  ${name.padEnd(width)}  ${text}`).join('\n')
}

function describe(schema: z.ZodType, prefix: string): string[][] {
  if (!(schema instanceof z.ZodObject)) return []
  return Object.entries(schema.shape).map(([key, value]: [string, unknown]) => {
    const text = value instanceof z.ZodType ? (value.description ?? '') : ''
    return [prefix + toSettingName(key), text]
  })
}

function namesIn(schema: z.ZodObject, prefix: string): string[] {
  return Object.keys(schema.shape).map((key) => prefix + toSettingName(key))
}

function addressesIn(shared: SharedSettings): Partial<Record<ServiceName, string>> {
  const named: [ServiceName, string | undefined][] = [
    ['identity', shared.identityAddress],
    ['policy', shared.policyAddress],
    ['session', shared.sessionAddress],
    ['tunnel-broker', shared.tunnelBrokerAddress],
    ['audit', shared.auditAddress],
  ]
  return Object.fromEntries(named.filter(([, address]) => address !== undefined))
}
