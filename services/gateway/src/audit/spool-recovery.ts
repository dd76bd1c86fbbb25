import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { decodeRecord } from './spool-frame.ts'

/** One file of the spool: records with contiguous numbers, `first` to `next - 1`. */
export type Segment = { readonly path: string; readonly first: bigint; next: bigint; bytes: number }

/** What a start found on the disk. */
export type RecoveredSpool = {
  readonly id: string
  /** Oldest first, never empty. The last is the one to append to. */
  readonly segments: Segment[]
  /** Bytes that a crash left behind the last whole record. They were never promised to anyone. */
  readonly tornBytes: number
  /** Segments that end early although they are not the last: the disk lost something. */
  readonly damaged: readonly string[]
}

const SEGMENT = /^(\d{20})\.spool$/

/** Reads what is there, cuts the torn tail of the last segment, and makes what is missing. */
export async function recoverSpool(dir: string): Promise<RecoveredSpool> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const id = await readOrMakeId(dir)
  const names = (await readdir(dir)).filter((name) => SEGMENT.test(name)).toSorted()
  if (names.length === 0) {
    return { id, segments: [await createSegment(dir, 1n)], tornBytes: 0, damaged: [] }
  }
  const segments: Segment[] = []
  const damaged: string[] = []
  let tornBytes = 0
  for (const [index, name] of names.entries()) {
    const path = join(dir, name)
    const content = await readFile(path)
    const segment = scan(path, BigInt(name.slice(0, 20)), content)
    const rest = content.length - segment.bytes
    if (rest > 0 && index === names.length - 1) {
      tornBytes = rest
      await truncate(path, segment.bytes)
    } else if (rest > 0) {
      damaged.push(name)
    }
    segments.push(segment)
  }
  return { id, segments, tornBytes, damaged }
}

export async function createSegment(dir: string, first: bigint): Promise<Segment> {
  const path = join(dir, `${first.toString().padStart(20, '0')}.spool`)
  const file = await open(path, 'wx', 0o600)
  await file.sync()
  await file.close()
  await syncDirectory(dir)
  return { path, first, next: first, bytes: 0 }
}

function scan(path: string, first: bigint, content: Buffer): Segment {
  const segment: Segment = { path, first, next: first, bytes: 0 }
  for (;;) {
    const found = decodeRecord(content, segment.bytes, segment.next)
    if (found === undefined) return segment
    segment.bytes = found.next
    segment.next += 1n
  }
}

async function readOrMakeId(dir: string): Promise<string> {
  const path = join(dir, 'spool-id')
  const known = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return ''
    throw new Error(`reading the id of the spool in ${dir}`, { cause })
  })
  if (known.trim() !== '') return known.trim()
  const id = randomUUID()
  const file = await open(path, 'w', 0o600)
  await file.writeFile(`${id}\n`)
  await file.sync()
  await file.close()
  await syncDirectory(dir)
  return id
}

async function truncate(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'r+')
  await file.truncate(bytes)
  await file.sync()
  await file.close()
}

async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, 'r')
  await handle.sync()
  await handle.close()
}
