import type { BusMessage } from '@postern/bus'
import { openOutsider } from '@postern/bus/testing'
import { createDatabase, type Server, startNats } from '@postern/fixtures'
import { createSilentLog } from '@postern/telemetry/testing'
import { openCheckpoint } from '@postern/tlog'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'
import { createAuditPublisher } from '../src/stream/audit-publisher.ts'
import { createLogTail } from '../src/stream/log-tail.ts'
import { type Audit, allLeaves, delivery, openAudit, records } from './audit-fixture.ts'

let nats: Server
let databaseUrl: string
let audit: Audit
const wakers = new Set<() => void>()

// A nats-server of its own: there is one stream AUDIT, and this file wipes it.
beforeAll(async () => {
  nats = await startNats()
  databaseUrl = await createDatabase(inject('postgresUrl'))
  const onWritten = () => {
    for (const wake of wakers) wake()
  }
  audit = await openAudit(databaseUrl, { natsUrl: nats.url, onWritten })
})
afterAll(async () => {
  await audit.close()
  await nats.stop()
})

function startPublisher(of: Audit, options: { now?: () => Date } = {}) {
  const publisher = createAuditPublisher({
    bus: of.bus,
    tail: createLogTail(of.db, of.recent),
    origin: 'postern.test/audit',
    checkpoint: async () => (await of.reader.head()).note,
    retention: { maxAgeSeconds: 3600, maxBytes: 64 * 1024 * 1024 },
    signals: of.signals,
    log: createSilentLog(),
    now: options.now ?? (() => new Date()),
  })
  publisher.start()
  wakers.add(publisher.wake)
  return {
    async stop() {
      wakers.delete(publisher.wake)
      await publisher.stop()
    },
  }
}

/** Everything in the stream, from its first message to its last. */
async function readStream(): Promise<BusMessage[]> {
  const last = await audit.bus.stream('AUDIT').lastSeq()
  const messages: BusMessage[] = []
  const siem = await openOutsider(nats.url)
  await siem.follow('AUDIT', (message) => messages.push(message))
  try {
    await vi.waitFor(() => expect(messages.at(-1)?.seq ?? 0n).toBe(last), { timeout: 15_000 })
  } finally {
    await siem.close()
  }
  return messages
}

const toLine = ({ seq, subject, headers, data }: BusMessage) =>
  `${seq} ${subject} ${JSON.stringify(headers)} ${Buffer.from(data).toString()}`

const untilPublished = async () =>
  await vi.waitFor(
    async () => {
      const { size } = await audit.reader.head()
      expect(await audit.bus.stream('AUDIT').lastSeq()).toBe(BigInt(size))
    },
    { timeout: 20_000, interval: 50 },
  )

/** Whoever may configure the bus may take the stream away; this is what is left then. */
const wipe = async () => await audit.bus.stream('AUDIT').delete()

const append = async (gateway: string, first: number, count: number) =>
  await audit.sequencer.append(delivery(gateway, first, records(gateway, first, count)))

test('the stream is the log: the same bytes in the same order, sequence = index + 1', async () => {
  await append('g1', 1, 300)
  const publisher = startPublisher(audit)
  try {
    await untilPublished()
    await append('g1', 301, 450)
    await append('g2', 1, 3)
    await untilPublished()
    const messages = await readStream()
    expect(messages.map(({ seq }) => Number(seq))).toEqual(messages.map((_, at) => at + 1))
    const leaves = await allLeaves(audit)
    expect(messages.map(({ data }) => Buffer.from(data).toString())).toEqual(
      leaves.map((leaf) => leaf.toString()),
    )
    expect(messages.every(({ subject }) => subject === 'postern.audit.prod-1')).toBe(true)
  } finally {
    await publisher.stop()
  }
})

test('a wiped stream is filled again, equal, also while nothing new is written', async () => {
  const publisher = startPublisher(audit)
  try {
    await untilPublished()
    const before = await readStream()
    await wipe()
    await untilPublished()
    const after = await readStream()
    expect(after.map(toLine)).toEqual(before.map(toLine))
  } finally {
    await publisher.stop()
  }
})

test('what somebody else put behind the last record makes the stream anew, equal to the log', async () => {
  const publisher = startPublisher(audit)
  const attacker = await openOutsider(nats.url)
  try {
    await untilPublished()
    const before = await readStream()
    const forged = { subject: 'postern.audit.prod-1', headers: {}, data: Buffer.from('{}') }
    for (let n = 0; n < 3; n += 1) await attacker.publish(forged)
    await vi.waitFor(
      async () => expect((await readStream()).map(toLine)).toEqual(before.map(toLine)),
      { timeout: 60_000 },
    )
  } finally {
    await attacker.close()
    await publisher.stop()
  }
})

test('two publishers, one of which is stopped half way, double and lose nothing', async () => {
  const other = await openAudit(databaseUrl, { natsUrl: nats.url })
  const one = startPublisher(audit)
  const two = startPublisher(other)
  try {
    for (let first = 1; first < 600; first += 100) await append('g3', first, 100)
    await one.stop()
    for (let first = 601; first < 1000; first += 100) await append('g3', first, 100)
    await untilPublished()
    const data = (await readStream()).map((message) => Buffer.from(message.data).toString())
    expect(data).toEqual((await allLeaves(audit)).map((leaf) => leaf.toString()))
  } finally {
    await one.stop()
    await two.stop()
    await other.close()
  }
})

test('what is older than the stream keeps is not published, and sequences stay the indexes', async () => {
  await wipe()
  const { size } = await audit.reader.head()
  const later = new Date(Date.now() + 2 * 3600 * 1000)
  const publisher = startPublisher(audit, { now: () => later })
  try {
    await vi.waitFor(
      async () => expect(await audit.bus.stream('AUDIT').lastSeq()).toBe(BigInt(size)),
      { timeout: 20_000 },
    )
    await append('g4', 1, 2)
    await untilPublished()
    const messages = await readStream()
    expect(messages.map(({ seq }) => Number(seq))).toEqual([size + 1, size + 2])
  } finally {
    await publisher.stop()
  }
})

test('checkpoints are announced, signed', async () => {
  const siem = await openOutsider(nats.url)
  const notes: string[] = []
  await siem.subscribe('postern.audit-checkpoint', (data) => {
    notes.push(Buffer.from(data).toString())
    return undefined
  })
  const publisher = startPublisher(audit)
  try {
    await vi.waitFor(() => expect(notes.length).toBeGreaterThan(0), { timeout: 10_000 })
    const { size } = openCheckpoint(notes[0] ?? '', audit.verifierKey)
    expect(size).toBe((await audit.reader.head()).size)
  } finally {
    await publisher.stop()
    await siem.close()
  }
})
