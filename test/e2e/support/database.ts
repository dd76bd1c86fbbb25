import { type World, withDatabase } from '@postern/bootstrap'

/** Asks the database as its administrator. */
export async function query<Row extends object>(
  world: World,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  return await withDatabase(world, async (client) => {
    const { rows } = await client.query<Row>(sql, [...values])
    return rows
  })
}
