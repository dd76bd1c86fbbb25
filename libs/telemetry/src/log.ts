import { type DestinationStream, pino } from 'pino'

/** A structured log. Messages are constants; data goes in fields; no token, key or body ever. */
export type Log = {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  child(fields: object): Log
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** A net below the rule that secrets are never logged: these fields never come out. */
const SECRET_FIELDS = [
  'authorization',
  'cookie',
  'csr',
  'databaseUrl',
  'key',
  'password',
  'privateKey',
  'secret',
  'token',
  'userToken',
]

/** JSON lines on standard output, or on the given stream. */
export function createLog(options: {
  readonly name: string
  readonly level?: LogLevel
  readonly stream?: { write(line: string): void }
}): Log {
  const settings = {
    base: { service: options.name },
    level: options.level ?? 'info',
    redact: {
      paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]),
      censor: '[redacted]',
    },
    formatters: { level: (label: string) => ({ level: label }) },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
  }
  const stream: DestinationStream = options.stream ?? pino.destination({ fd: 1, sync: true })
  return pino(settings, stream)
}
