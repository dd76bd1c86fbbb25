import type { Log } from './log.ts'

export type LogRecord = {
  level: 'debug' | 'info' | 'warn' | 'error'
  message: string
  fields: object
}

/** A log that remembers. */
export function createMemoryLog(): Log & { readonly records: LogRecord[] } {
  return child([], {})
}

/** A log that forgets. */
export function createSilentLog(): Log {
  const silent = () => undefined
  const log: Log = { debug: silent, info: silent, warn: silent, error: silent, child: () => log }
  return log
}

function child(records: LogRecord[], own: object): Log & { readonly records: LogRecord[] } {
  const at = (level: LogRecord['level']) => (fields: object, message: string) => {
    records.push({ level, message, fields: { ...own, ...fields } })
  }
  return {
    records,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => child(records, { ...own, ...fields }),
  }
}
