import type { EventLog } from '@postern/eventing'
import { sql } from 'kysely'
import { expect } from 'vitest'
import type { LedgerDatabase, LedgerEvent } from './ledger.ts'

type Ledger = EventLog<LedgerDatabase, LedgerEvent>
type LogRow = { pos: bigint; stream: string; ver: number }

const logOf = async (at: Ledger): Promise<LogRow[]> =>
  (await sql<LogRow>`select pos, stream, ver from event order by pos`.execute(at.db)).rows
export const headOf = async (at: Ledger): Promise<bigint | undefined> =>
  (await sql<{ pos: bigint }>`select pos from head`.execute(at.db)).rows[0]?.pos

/** Positions from 1 without a hole, versions from 1 without a hole in each stream, projections equal. */
export async function expectWhole(at: Ledger): Promise<void> {
  const log = await logOf(at)
  expect(log.map(({ pos }) => pos)).toEqual(log.map((_, index) => BigInt(index + 1)))
  expect(await headOf(at)).toBe(BigInt(log.length))
  const versions = new Map<string, number>()
  for (const { stream, ver } of log) {
    expect(ver).toBe((versions.get(stream) ?? 0) + 1)
    versions.set(stream, ver)
  }
  const { rows } = await sql<{ pos: bigint }>`select pos from checkpoint`.execute(at.db)
  expect(rows).toEqual([{ pos: BigInt(log.length) }])
  const report = await at.rebuild({ verify: true })
  expect(report).toMatchObject({ equal: true, pos: BigInt(log.length) })
}
