import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { createLog } from '@postern/telemetry'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Ingest, startShipping } from '../src/audit/ship.ts'
import { openSpool, type Spool } from '../src/audit/spool.ts'
import { eventually } from './testing/gateway-harness.ts'

let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-ship-'))
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

const log = createLog({ name: 'test', level: 'silent' })
const open = () => openSpool({ dir, bytesMax: 1024 * 1024, segmentBytesMax: 200 })
const ship = (spool: Spool, ingest: Ingest) =>
  startShipping({
    spool,
    ingest,
    log,
    wait: (ms, signal) => wait(ms / 100, undefined, { signal }),
    random: Math.random,
  })

/** The sequencer: stores contiguous runs, passes over what it has, and fails as it is told. */
function sequencer(fails: () => 'before' | 'after' | 'half' | undefined) {
  const stored: string[] = []
  const ingest: Ingest = {
    async append({ first, records }) {
      const failure = fails()
      if (failure === 'before') throw new Error('not reached')
      const taken = failure === 'half' ? records.slice(0, Math.ceil(records.length / 2)) : records
      taken.forEach((record, index) => {
        if (Number(first) + index - 1 === stored.length) stored.push(Buffer.from(record).toString())
      })
      await Promise.resolve()
      if (failure === 'after') throw new Error('the answer was lost')
      return { stored: BigInt(stored.length) }
    },
  }
  return { ingest, stored }
}

test('every record arrives once and in order, whatever is lost, repeated or restarted', async () => {
  const failure = fc.constantFrom(undefined, 'before', 'after', 'half')
  await fc.assert(
    fc.asyncProperty(
      fc.array(failure, { maxLength: 12 }),
      fc.integer({ min: 1, max: 60 }),
      async (failures, count) => {
        await rm(dir, { recursive: true, force: true })
        const todo = [...failures]
        const { ingest, stored } = sequencer(() => todo.shift())
        const expected = Array.from({ length: count }, (_, index) => `record ${index}`)
        let spool = await open()
        let shipping = ship(spool, ingest)
        for (const [index, record] of expected.entries()) {
          await spool.append(record)
          if (index !== count >> 1) continue
          await shipping.stop(0)
          await spool.close()
          spool = await open()
          shipping = ship(spool, ingest)
        }
        await eventually(() => stored.length === count, 'everything is stored')
        await eventually(() => spool.size.unshipped === 0, 'the spool knows')
        await shipping.stop(100)
        await spool.close()
        expect(stored).toEqual(expected)
      },
    ),
    { seed: Date.now() & 0x7fffffff, numRuns: 25 },
  )
}, 60_000)

test('nothing is forgotten that is not stored', async () => {
  const spool = await open()
  const shipping = ship(spool, sequencer(() => 'before').ingest)
  for (let index = 0; index < 20; index += 1) await spool.append('kept')
  await eventually(() => shipping.failing, 'delivery fails')
  expect(spool.size.unshipped).toBe(20)
  await shipping.stop(0)
  await spool.close()
  const again = await open()
  const { ingest, stored } = sequencer(() => undefined)
  const delivering = ship(again, ingest)
  await eventually(() => stored.length === 20, 'everything is stored')
  await delivering.stop(100)
  await again.close()
})

test('a disk that has lost records is noticed: their numbers are not used a second time', async () => {
  const spool = await open()
  const shipping = ship(spool, { append: async () => ({ stored: 1000n }) })
  await spool.append('one')
  await eventually(() => shipping.failing, 'delivery stops')
  expect(spool.size.unshipped).toBe(1)
  await shipping.stop(0)
  await spool.close()
})
