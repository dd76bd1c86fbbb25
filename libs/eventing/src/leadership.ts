import { messageOf } from '@postern/errors'
import type { Log } from '@postern/telemetry'
import type pg from 'pg'
import { createClient, type DatabaseOptions } from './database.ts'
import { pause } from './pause.ts'
import { untilTick } from './ticks.ts'

export type Role = {
  /** Unique in the service: "publisher". */
  readonly name: string
  /** Called while this process alone holds the role; must end when the signal aborts. */
  readonly run: (signal: AbortSignal) => Promise<void>
}

const STANDBY_MS = 1000
const RETRY_MS = 1000
const PULSE_MS = 2000

/**
 * One connection on which the process listens for new events, and holds an advisory lock for each role
 * that only one process of the service may have. When the connection breaks, all roles end.
 */
export function createLeadership(
  options: DatabaseOptions & {
    readonly channel: string
    readonly notified: () => void
    /** On every new connection, before any role. */
    readonly connected: (client: pg.Client) => Promise<void>
  },
) {
  const log: Log = options.log
  const stopping = new AbortController()
  const roles: Role[] = []
  const begun = new Set<Promise<void>>()
  let session: { client: pg.Client; signal: AbortSignal } | undefined
  let running: Promise<void> | undefined

  const begin = (role: Role): void => {
    if (session === undefined) return
    const holding = hold(role, session.client, session.signal)
    begun.add(holding)
    void holding.finally(() => begun.delete(holding))
  }

  const hold = async (role: Role, client: pg.Client, signal: AbortSignal): Promise<void> => {
    const lock = `postern:${options.service}:${role.name}`
    while (!signal.aborted) {
      try {
        const { rows } = await client.query<{ held: boolean }>(
          'select pg_try_advisory_lock(hashtextextended($1, 0)) as held',
          [lock],
        )
        if (rows[0]?.held !== true) {
          await pause(STANDBY_MS, signal)
          continue
        }
        log.info({ role: role.name }, 'this process took a role')
        while (!signal.aborted) await runOnce(role, signal)
      } catch (error) {
        log.debug({ role: role.name, error: messageOf(error) }, 'a role was not taken')
        await pause(RETRY_MS, signal)
      }
    }
  }

  const runOnce = async (role: Role, signal: AbortSignal): Promise<void> => {
    try {
      await role.run(signal)
    } catch (error) {
      log.error({ role: role.name, error: messageOf(error) }, 'a role failed and is begun again')
    }
    await pause(RETRY_MS, signal)
  }

  const holdSession = async (): Promise<void> => {
    const client = createClient(options)
    const broken = new AbortController()
    const end = (): void => broken.abort()
    client.on('error', end)
    client.on('end', end)
    client.on('notification', () => options.notified())
    const signal = AbortSignal.any([stopping.signal, broken.signal])
    try {
      await client.connect()
      await client.query(`listen ${options.channel}`)
      await options.connected(client)
      session = { client, signal }
      for (const role of roles) begin(role)
      options.notified()
      while (!signal.aborted) {
        await pause(untilTick(PULSE_MS), signal)
        if (!signal.aborted) await client.query('select 1')
      }
    } finally {
      end()
      session = undefined
      await Promise.allSettled(begun)
      await client.end().catch(() => {})
    }
  }

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await holdSession()
      } catch (error) {
        log.warn({ error: messageOf(error) }, 'the listening database connection broke')
      }
      await pause(RETRY_MS, stopping.signal)
    }
  }

  return {
    add(role: Role): void {
      roles.push(role)
      begin(role)
    },
    start(): void {
      running ??= run()
    },
    async stop(): Promise<void> {
      stopping.abort()
      await running
    },
  }
}
