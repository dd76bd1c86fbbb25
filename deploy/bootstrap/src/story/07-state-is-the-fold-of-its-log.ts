import { join } from 'node:path'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { withDatabase } from './database.ts'
import { expectEqual, expectThat } from './expect.ts'
import { readRecords } from './postern-records.ts'
import { replayDecisions } from './replay-decisions.ts'
import type { StoryStep } from './story-step.ts'
import type { World } from './world.ts'

export const stateIsTheFoldOfItsLog: StoryStep = {
  title:
    'every projection is rebuilt from its log: equal; every decision is decided again: equal; the audit log verifies',

  async run(world, say) {
    const rebuilt = await world.postern.ok(['rebuild', '--verify', '-o', 'json'])
    const projections: {
      service: string
      projection: string
      events: string | number
      equal: boolean
    }[] = JSON.parse(rebuilt)
    expectThat(
      projections.length >= 6 && projections.every(({ equal }) => equal),
      'every projection to be equal',
      projections,
    )
    const services = new Set(projections.map(({ service }) => service))
    expectEqual(services.size, 5, 'the number of services')
    say(`${projections.length} projections of ${services.size} services dropped and rebuilt: equal`)

    const records = await readRecords(world, [])
    const { decisions, differences } = await replayDecisions(world, records)
    expectEqual(differences, [], 'decisions that came out different')
    expectThat(decisions > 100, 'more than a hundred decisions to compare', decisions)
    say(`${decisions} recorded decisions decided again from their positions: equal`)

    const remember = ['--remember', join(world.dir, 'audit-checkpoint')]
    const verified = await world.postern.ok(['audit', 'verify', ...remember])
    say(verified.trim())
    await flipOneByte(world)
    const found = await world.postern.run(['audit', 'verify', ...remember])
    expectThat(
      found.code === 1 && /does not verify/.test(found.stderr),
      'the flipped byte to be found',
      found,
    )
    say(`one byte flipped in the database: ${found.stderr.trim()}`)
    await flipOneByte(world)
    await world.postern.ok(['audit', 'verify', ...remember])
  },
}

/** Within the first entry, which is behind its length. */
const FLIPPED = 22

/** As the database's administrator, past the trigger that forbids it. Twice is as before. */
async function flipOneByte(world: World): Promise<void> {
  await withDatabase(world, async (client) => {
    await client.query('begin')
    await client.query("set local session_replication_role = 'replica'")
    const { rows } = await client.query<{ bundle: Buffer }>(
      'select bundle from audit.entry_bundle where first_idx = 0',
    )
    const entries = zstdDecompressSync(rows[0]?.bundle ?? '')
    entries[FLIPPED] = (entries[FLIPPED] ?? 0) ^ 1
    const flipped = await client.query(
      'update audit.entry_bundle set bundle = $1 where first_idx = 0',
      [zstdCompressSync(entries)],
    )
    expectEqual(flipped.rowCount, 1, 'the number of bundles touched')
    await client.query('commit')
  })
}
