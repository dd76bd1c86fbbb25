import { encodeTile, type Tile, type TileId, type TileReader, tilePath } from '@postern/tlog'
import { type Kysely, sql } from 'kysely'
import type { AuditDatabase } from '../database.ts'

/** Reads tiles; each may be wider than asked for. */
export function tilesOf(db: Kysely<AuditDatabase>): TileReader {
  return async (ids) => {
    if (ids.length === 0) return []
    const { rows } = await sql<{ at: number; hashes: Buffer }>`
      select wanted.at::integer as at, tile.hashes
      from unnest(
        ${ids.map(({ level }) => level)}::integer[],
        ${ids.map(({ index }) => index)}::bigint[]
      ) with ordinality as wanted (level, idx, at)
      join tile on tile.level = wanted.level and tile.idx = wanted.idx`.execute(db)
    const found = new Map(rows.map(({ at, hashes }) => [at - 1, hashes]))
    return ids.map((id, at) => {
      const hashes = found.get(at)
      if (hashes === undefined) throw new RangeError(`the log has no ${tilePath(id)}`)
      return hashes
    })
  }
}

/** A full or partial tile, cut to the width asked for; `undefined` where the log has none so wide. */
export async function findTile(
  db: Kysely<AuditDatabase>,
  { level, index, width }: TileId,
): Promise<Buffer | undefined> {
  const row = await db
    .selectFrom('tile')
    .select('hashes')
    .where('level', '=', level)
    .where('idx', '=', index)
    .executeTakeFirst()
  const bytes = width * 32
  return row === undefined || row.hashes.length < bytes ? undefined : row.hashes.subarray(0, bytes)
}

/** Writes tiles that are new or became wider. */
export async function writeTiles(db: Kysely<AuditDatabase>, tiles: readonly Tile[]): Promise<void> {
  await sql`
    insert into tile (level, idx, hashes)
    select * from unnest(
      ${tiles.map(({ level }) => level)}::integer[],
      ${tiles.map(({ index }) => index)}::bigint[],
      ${tiles.map(encodeTile)}::bytea[]
    )
    on conflict (level, idx) do update set hashes = excluded.hashes`.execute(db)
}
