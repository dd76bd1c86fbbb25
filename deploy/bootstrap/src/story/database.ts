import pg from 'pg'
import type { World } from './world.ts'

/** A connection of the database's administrator, for what no service would let the story do. */
export async function withDatabase<T>(
  world: World,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const url = new URL(world.platform.postgres.current().url)
  url.pathname = '/postern'
  const client = new pg.Client({ connectionString: url.toString() })
  client.on('error', () => {})
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
