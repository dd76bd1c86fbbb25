import { provisionLogSql } from '@postern/eventing'
import pg from 'pg'
import { LOG_OWNERS, type LogOwner } from './secrets.ts'

export const DATABASE = 'postern'

/**
 * Gives each log owner a role and a schema in one database. The log's tables belong to the
 * administrator: a service may add events and never change one. May be run again.
 */
export async function prepareDatabases(
  adminUrl: string,
  password: (owner: LogOwner) => string,
): Promise<(owner: LogOwner) => string> {
  await withClient(adminUrl, async (client) => {
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [
      DATABASE,
    ])
    if (rowCount === 0) await client.query(`create database ${DATABASE}`)
    await client.query(`revoke all on database ${DATABASE} from public`)
    for (const owner of LOG_OWNERS) {
      const role = roleOf(owner)
      const { rowCount: known } = await client.query('select 1 from pg_roles where rolname = $1', [
        role,
      ])
      if (known === 0) await client.query(`create role ${role} login`)
      const secret = client.escapeLiteral(password(owner))
      await client.query(`alter role ${role} password ${secret}`)
      await client.query(`grant connect, temporary on database ${DATABASE} to ${role}`)
    }
  })
  const url = new URL(adminUrl)
  url.pathname = `/${DATABASE}`
  await withClient(url.toString(), async (client) => {
    for (const owner of LOG_OWNERS) {
      await client.query(provisionLogSql({ service: owner, role: roleOf(owner) }))
    }
  })
  return (owner) => {
    const own = new URL(url)
    own.username = roleOf(owner)
    own.password = password(owner)
    return own.toString()
  }
}

export function roleOf(owner: LogOwner): string {
  return `postern_${owner.replaceAll('-', '_')}`
}

async function withClient(
  connectionString: string,
  work: (client: pg.Client) => Promise<void>,
): Promise<void> {
  const client = new pg.Client({ connectionString })
  client.on('error', () => {})
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}
