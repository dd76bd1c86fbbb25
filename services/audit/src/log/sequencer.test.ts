import { createMetrics } from '@postern/telemetry'
import { createSilentLog } from '@postern/telemetry/testing'
import { expect, test, vi } from 'vitest'
import { producerKey } from '../producer/producer-id.ts'
import { auditSignals } from '../signals.ts'
import type { Delivery } from './log-writer.ts'
import { createSequencer } from './sequencer.ts'

const producer = producerKey('spiffe://test/gateway/a', 's')
const actor = { by: 'gateway:a', cause: 'test' }
const delivery = (first: number, count: number, bytes = 1): Delivery => ({
  producer,
  first: BigInt(first),
  records: Array.from({ length: count }, () => Buffer.alloc(bytes)),
  actor,
})
const lastOf = ({ first, records }: Delivery) => first + BigInt(records.length) - 1n

function sequencerOver(write: (batch: readonly Delivery[]) => Promise<readonly bigint[]>) {
  return createSequencer({
    writer: { write },
    log: createSilentLog(),
    signals: auditSignals(createMetrics('audit')),
    onWritten: () => undefined,
    gatherMs: 0,
  })
}

test('what arrives while a batch is written shares the next one, and each is answered its own', async () => {
  const batches: number[] = []
  const gate = createGate()
  const sequencer = sequencerOver(async (batch) => {
    batches.push(batch.length)
    if (batches.length === 1) await gate.opened
    return batch.map(lastOf)
  })
  const first = sequencer.append(delivery(1, 10))
  await vi.waitFor(() => expect(batches).toEqual([1]))
  const others = [2, 3, 4].map(async (at) => await sequencer.append(delivery(at * 10, 5)))
  gate.open()
  expect(await first).toBe(10n)
  expect(await Promise.all(others)).toEqual([24n, 34n, 44n])
  expect(batches).toEqual([1, 3])
})

test('no batch has more than 1,000 records or 8 MiB, and never two are written at once', async () => {
  let writing = 0
  const sequencer = sequencerOver(async (batch) => {
    writing += 1
    expect(writing).toBe(1)
    const records = batch.flatMap((one) => one.records)
    const bytes = records.reduce((sum, record) => sum + record.length, 0)
    expect(batch.length === 1 || (records.length <= 1000 && bytes <= 8 * 1024 ** 2)).toBe(true)
    await Promise.resolve()
    writing -= 1
    return batch.map(lastOf)
  })
  const sizes = [400, 400, 400, 1000, 1, 999, 100].map((count) => delivery(1, count))
  const large = [1, 2, 3].map(() => delivery(1, 100, 60 * 1024))
  const all = [...sizes, ...large]
  const answers = await Promise.all(all.map(async (one) => await sequencer.append(one)))
  expect(answers).toEqual(all.map(lastOf))
})

test('one producer that cannot be written does not take the others down', async () => {
  const sequencer = sequencerOver(async (batch) => {
    if (batch.some(({ first }) => first === 666n)) throw new Error('broken')
    return batch.map(lastOf)
  })
  const answers = await Promise.allSettled(
    [1, 666, 3].map(async (first) => await sequencer.append(delivery(first, 1))),
  )
  expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(await sequencer.append(delivery(4, 1))).toBe(4n)
})

test('a flood is refused, not gathered without bound', async () => {
  const gate = createGate()
  const sequencer = sequencerOver(async (batch) => {
    await gate.opened
    return batch.map(lastOf)
  })
  const flood = Array.from(
    { length: 40 },
    async () => await sequencer.append(delivery(1, 40, 60 * 1024)),
  )
  const settled = Promise.allSettled(flood)
  await expect(sequencer.append(delivery(1, 40, 60 * 1024))).rejects.toMatchObject({
    reason: 'AUDIT_OVERLOADED',
  })
  gate.open()
  await settled
  expect(await sequencer.append(delivery(1, 1))).toBe(1n)
})

test('stopping writes what waits and takes no more', async () => {
  const sequencer = sequencerOver(async (batch) => batch.map(lastOf))
  const waiting = [1, 2].map(async (first) => await sequencer.append(delivery(first, 1)))
  await sequencer.stop()
  expect(await Promise.all(waiting)).toEqual([1n, 2n])
  await expect(sequencer.append(delivery(3, 1))).rejects.toMatchObject({ reason: 'AUDIT_STOPPING' })
})

function createGate() {
  let open: (() => void) | undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open: () => open?.() }
}
