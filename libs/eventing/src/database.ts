import { Socket } from 'node:net'
import type { Log } from '@postern/telemetry'
import { Kysely, PostgresDialect, type QueryExecutorProvider } from 'kysely'
import pg from 'pg'
import { schemaOf } from './names.ts'

/** A database or a transaction, whatever its tables. */
export type Executor = QueryExecutorProvider

export type DatabaseOptions = {
  readonly databaseUrl: string
  readonly service: string
  readonly log: Log
}

const CONNECTIONS_MAX = 10
const READING_CONNECTIONS_MAX = 4
const CONNECT_TIMEOUT_MS = 5000
const STATEMENT_TIMEOUT_MS = 10_000
const LOCK_TIMEOUT_MS = 3000
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000
/** For a server that has gone without a word; PostgreSQL's own limits come first. */
const ANSWER_TIMEOUT_MS = 12_000
/** Readers ask little, and a lease waits for them. */
const READING_STATEMENT_TIMEOUT_MS = 3000
const READING_ANSWER_TIMEOUT_MS = 4000
/** Migrations and rebuilds read whole tables. */
const MAINTENANCE_TIMEOUT_MS = 15 * 60_000

const COMMAND_LIMITS = {
  statement_timeout: STATEMENT_TIMEOUT_MS,
  lock_timeout: LOCK_TIMEOUT_MS,
  idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
  query_timeout: ANSWER_TIMEOUT_MS,
}

/** A pool whose unqualified names are the service's own schema, with limits for commands. */
export function openDatabase<Database>(options: DatabaseOptions): Kysely<Database> {
  return connectLazily<Database>(options, { ...COMMAND_LIMITS, max: CONNECTIONS_MAX })
}

/** For leases and those who follow the log: commands that queue for a connection hold up none of them. */
export function openForReaders<Database>(options: DatabaseOptions): Kysely<Database> {
  return connectLazily<Database>(options, {
    ...COMMAND_LIMITS,
    max: READING_CONNECTIONS_MAX,
    statement_timeout: READING_STATEMENT_TIMEOUT_MS,
    query_timeout: READING_ANSWER_TIMEOUT_MS,
  })
}

/** One connection with time for migrations and rebuilds. */
export function openMaintenance<Database>(options: DatabaseOptions): Kysely<Database> {
  return connectLazily<Database>(options, {
    max: 1,
    statement_timeout: MAINTENANCE_TIMEOUT_MS,
    lock_timeout: MAINTENANCE_TIMEOUT_MS,
    idle_in_transaction_session_timeout: MAINTENANCE_TIMEOUT_MS,
    query_timeout: MAINTENANCE_TIMEOUT_MS + LOCK_TIMEOUT_MS,
  })
}

/** A connection of its own, for LISTEN and for locks that live as long as it does. */
export function createClient(options: DatabaseOptions): pg.Client {
  return new pg.Client({
    ...common(options),
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
  })
}

function connectLazily<Database>(
  options: DatabaseOptions,
  limits: pg.PoolConfig & { query_timeout: number },
): Kysely<Database> {
  const pool = new pg.Pool({ ...common(options), ...limits })
  // Without a listener, a connection that breaks would end the process: the pool listens only while
  // it is idle, the client itself also while it works.
  pool.on('error', (error) => {
    options.log.warn({ error: error.message }, 'an idle database connection broke')
  })
  pool.on('connect', (client) => {
    client.on('error', (error) => {
      options.log.warn({ error: error.message }, 'a database connection broke')
    })
    endWhenSilent(client, limits.query_timeout)
  })
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
}

/**
 * A query that is given up stays on its connection, and all that follow wait behind it: where the server has
 * gone without a word, until TCP gives up, which takes a quarter of an hour.
 */
function endWhenSilent(client: pg.PoolClient, ms: number): void {
  const stream = client instanceof pg.Client ? client.connection.stream : undefined
  if (!(stream instanceof Socket)) throw new Error('a database connection has no socket')
  stream.setTimeout(ms, () => stream.destroy(new Error(`PostgreSQL said nothing for ${ms} ms`)))
}

/** Else the server would keep the locks of a client that vanished for hours. */
const noticesGoneClients = [
  'tcp_keepalives_idle=10',
  'tcp_keepalives_interval=5',
  'tcp_keepalives_count=3',
]

function common({ databaseUrl, service }: DatabaseOptions): pg.ClientConfig {
  return {
    connectionString: databaseUrl,
    application_name: `postern-${service}`,
    options: [`search_path=${schemaOf(service)}`, ...noticesGoneClients]
      .map((setting) => `-c ${setting}`)
      .join(' '),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    types: { getTypeParser },
  }
}

const parsers: typeof pg.types = pg.types

/** Positions are 64 bits wide: a bigint is read as a BigInt, never as a number or a string. */
const getTypeParser: pg.CustomTypesConfig['getTypeParser'] = (oid, format) =>
  oid === parsers.builtins.INT8 && format !== 'binary'
    ? (text: string) => BigInt(text)
    : parsers.getTypeParser(oid, format)
