import { type FileHandle, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { openSpool, type Spool, SpoolFullError } from '../src/audit/spool.ts'
import { FrameGroup, frameBytes, RECORD_BYTES_MAX } from '../src/audit/spool-frame.ts'

const BATCH = { records: 256, bytes: 1024 * 1024 }
const MIB = 1024 * 1024
const anyText = fc.string({ unit: 'grapheme', maxLength: 150 })
let dir = ''

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-spool-'))
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

test('a record that was promised to be durable is read back after a restart, in order', async () => {
  const first = await openSpool({ dir, bytesMax: MIB, segmentBytesMax: 2_000 })
  await Promise.all(Array.from({ length: 300 }, (_, index) => first.append(`r${index}`)))
  await first.close()
  const second = await openSpool({ dir, bytesMax: MIB, segmentBytesMax: 2_000 })
  expect(second.id).toBe(first.id)
  await second.append('after')
  const records = await readAll(second, 301)
  expect(records.map(({ number }) => number)).toEqual(records.map((_, index) => BigInt(index + 1)))
  expect(records.map(({ bytes }) => bytes.toString())).toEqual([
    ...Array.from({ length: 300 }, (_, index) => `r${index}`),
    'after',
  ])
  await second.close()
})

test('what has no haste goes to the disk with what has, by itself, and before the spool closes', async () => {
  const spool = await openSpool({ dir, bytesMax: MIB })
  const lost: Error[] = []
  const put = (record: string) => spool.put(record, (error) => void lost.push(error))
  put('with the next')
  await spool.append('the next')
  put('by itself')
  expect(spool.size.unshipped).toBe(3)
  expect((await readAll(spool, 3)).map(({ bytes }) => bytes.toString())).toEqual([
    'with the next',
    'the next',
    'by itself',
  ])
  put('at the end')
  await spool.close()
  expect(lost).toEqual([])
  put('too late')
  expect(lost).toHaveLength(1)
  const reopened = await openSpool({ dir, bytesMax: MIB })
  expect((await readAll(reopened, 4)).at(-1)?.bytes.toString()).toBe('at the end')
  await reopened.close()
})

test('what has no haste and comes in the middle of a write waits for others, as at any other time', async () => {
  const spool = await openSpool({ dir, bytesMax: MIB })
  const written = await watchWrites()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    const writing = spool.append('in haste')
    // Two microtasks: it is being written, and nothing can have come of it yet.
    await Promise.resolve()
    await Promise.resolve()
    expect(written).toHaveBeenCalledTimes(1)
    spool.put('not in haste', () => undefined)
    await writing
    await nextTurn()
    expect(written).toHaveBeenCalledTimes(1)
    spool.put('neither', () => undefined)
    vi.runAllTimers()
    expect((await readAll(spool, 3)).map(({ bytes }) => bytes.toString())).toEqual([
      'in haste',
      'not in haste',
      'neither',
    ])
    expect(written).toHaveBeenCalledTimes(2)
  } finally {
    vi.useRealTimers()
    written.mockRestore()
    await spool.close()
  }
})

test('what comes in the middle of a long write does not keep what follows from its turn', async () => {
  const spool = await openSpool({ dir, bytesMax: 256 * MIB })
  const lost: Error[] = []
  const put = (record: string) => spool.put(record, (error) => void lost.push(error))
  const large = 'x'.repeat(59 * 1024)
  const writing = Promise.all(Array.from({ length: 512 }, () => spool.append(large)))
  await nextTurn()
  put('in its middle')
  await writing
  await readAll(spool, 513)
  put('after it')
  const { records } = await spool.read(BATCH, AbortSignal.timeout(10_000))
  expect(records.map(String)).toEqual(['after it'])
  expect(lost).toEqual([])
  await spool.close()
})

test('a tail torn at any byte loses only records that were not whole, and appending goes on', async () => {
  const whole = ['one', 'the second', '', 'four']
  const content = segmentOf(whole)
  let end = 0
  const ends = whole.map((record) => {
    end += frameBytes(Buffer.from(record))
    return end
  })
  for (let cut = 0; cut <= content.length; cut += 1) {
    await rm(dir, { recursive: true, force: true })
    const spool = await openSpool({ dir, bytesMax: MIB })
    await spool.close()
    await writeFile(join(dir, segmentName(1)), content.subarray(0, cut))
    const reopened = await openSpool({ dir, bytesMax: MIB })
    const kept = ends.filter((end) => end <= cut).length
    expect(reopened.recovered.tornBytes).toBe(cut - (ends[kept - 1] ?? 0))
    await reopened.append('next')
    const records = await readAll(reopened, kept + 1)
    expect(records.map(({ bytes }) => bytes.toString())).toEqual([...whole.slice(0, kept), 'next'])
    expect(records.at(-1)?.number).toBe(BigInt(kept + 1))
    await reopened.close()
  }
})

test('a flipped bit anywhere is noticed: no altered record is ever delivered', async () => {
  const whole = ['one', 'the second', 'four']
  const content = segmentOf(whole)
  await (await openSpool({ dir, bytesMax: MIB })).close()
  for (let bit = 0; bit < content.length * 8; bit += 1) {
    const flipped = Buffer.from(content)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    await writeFile(join(dir, segmentName(1)), flipped)
    const spool = await openSpool({ dir, bytesMax: MIB })
    await spool.append('next')
    const records = await readAll(spool, Number(spool.size.unshipped))
    const delivered = records.map(({ bytes }) => bytes.toString())
    expect(delivered.slice(0, -1)).toEqual(whole.slice(0, delivered.length - 1))
    expect(delivered.length - 1).toBeLessThan(whole.length)
    await spool.close()
  }
})

test('files go only once everything in them is stored elsewhere', async () => {
  const spool = await openSpool({ dir, bytesMax: MIB, segmentBytesMax: 200 })
  for (let index = 0; index < 50; index += 1) await spool.append(`record ${index}`)
  await readAll(spool, 50)
  const before = (await segments()).length
  expect(before).toBeGreaterThan(3)
  await spool.release(0n)
  expect(await segments()).toHaveLength(before)
  await spool.release(49n)
  const kept = await segments()
  expect(kept.length).toBeGreaterThanOrEqual(1)
  const last = await readFile(join(dir, kept.at(-1) ?? ''))
  expect(last.includes('record 49')).toBe(true)
  await spool.release(50n)
  await spool.close()
  const next = await openSpool({ dir, bytesMax: MIB })
  await next.append('numbers go on')
  const records: Numbered[] = []
  while (records.at(-1)?.bytes.toString() !== 'numbers go on') {
    records.push(...(await readSome(next)))
  }
  expect(records.at(-1)?.number).toBe(51n)
  await next.close()
})

test.each([
  { bytesMax: 4_000, segmentBytesMax: 1_000 },
  // As the settings have it, where the least is a MiB.
  { bytesMax: 40_000 },
])(
  'a full spool of $bytesMax bytes refuses, says so before, and takes records again once it was delivered',
  async (settings) => {
    const spool = await openSpool({ dir, ...settings })
    let taken = 0
    const fill = async () => {
      for (;;) {
        await spool.append('x'.repeat(100))
        taken += 1
      }
    }
    expect(spool.hasRoom()).toBe(true)
    await expect(fill()).rejects.toBeInstanceOf(SpoolFullError)
    expect(taken).toBeGreaterThan(20)
    expect(spool.hasRoom()).toBe(false)
    await readAll(spool, taken)
    await spool.release(BigInt(taken))
    expect(spool.hasRoom()).toBe(true)
    await spool.append('again')
    await spool.close()
  },
)

test('whatever is appended at the same time, nothing is lost, doubled or out of order', async () => {
  const seed = Date.now() & 0x7fffffff
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(anyText, { maxLength: 8 }), { maxLength: 12 }),
      fc.integer({ min: 100, max: 2_000 }),
      async (groups, segmentBytesMax) => {
        await rm(dir, { recursive: true, force: true })
        let spool = await openSpool({ dir, bytesMax: MIB, segmentBytesMax })
        for (const [index, group] of groups.entries()) {
          await Promise.all(group.map((record) => spool.append(record)))
          if (index % 3 !== 2) continue
          await spool.close()
          spool = await openSpool({ dir, bytesMax: MIB, segmentBytesMax })
        }
        const expected = groups.flat()
        const records = await readAll(spool, expected.length)
        expect(records.map(({ bytes }) => bytes.toString())).toEqual(expected)
        await spool.close()
      },
    ),
    { seed, numRuns: 25 },
  )
})

test('a record that is too large is refused, and the others of its group are whole', async () => {
  const spool = await openSpool({ dir, bytesMax: MIB })
  const lost: Error[] = []
  const put = (record: string) => spool.put(record, (error) => void lost.push(error))
  put('before')
  put('x'.repeat(RECORD_BYTES_MAX + 1))
  // As many characters as may be, and three times the bytes.
  put('\u20ac'.repeat(RECORD_BYTES_MAX))
  put('x'.repeat(RECORD_BYTES_MAX))
  await spool.append('after')
  const records = await readAll(spool, 3)
  expect(records.map(({ bytes }) => bytes.toString())).toEqual([
    'before',
    'x'.repeat(RECORD_BYTES_MAX),
    'after',
  ])
  expect(lost).toEqual([expect.any(RangeError), expect.any(RangeError)])
  await expect(spool.append('x'.repeat(RECORD_BYTES_MAX + 1))).rejects.toBeInstanceOf(RangeError)
  await spool.close()
})

type Numbered = { number: bigint; bytes: Buffer }

async function readAll(spool: Spool, count: number): Promise<Numbered[]> {
  const records: Numbered[] = []
  while (records.length < count) records.push(...(await readSome(spool)))
  return records
}

async function readSome(spool: Spool): Promise<Numbered[]> {
  const { first, records } = await spool.read(BATCH, AbortSignal.timeout(5_000))
  return records.map((bytes, at) => ({ number: first + BigInt(at), bytes }))
}

async function segments(): Promise<string[]> {
  return (await readdir(dir)).filter((name) => name.endsWith('.spool')).toSorted()
}

const segmentName = (first: number) => `${String(first).padStart(20, '0')}.spool`

function segmentOf(records: readonly string[]): Buffer {
  const group = new FrameGroup(0)
  for (const record of records) group.add(record)
  return group.numbered(1n).frames
}

/** Whatever is written to any file. */
async function watchWrites() {
  const file = await open(join(dir, 'any'), 'w')
  const prototype: FileHandle = Object.getPrototypeOf(file)
  await file.close()
  return vi.spyOn(prototype, 'writeFile')
}
