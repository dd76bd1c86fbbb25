import { open, rm } from 'node:fs/promises'
import { createRecentItems } from '@postern/eventing'
import { type Cursor, passOver, readRun } from './read-spool.ts'
import { FrameGroup, type SpooledRun } from './spool-frame.ts'
import { createSegment, recoverSpool, type Segment } from './spool-recovery.ts'

/** Audit records on this machine's disk until the audit service has them. */
export type Spool = {
  readonly id: string
  /** What a crash left behind and a start removed or could not read. */
  readonly recovered: { readonly tornBytes: number; readonly damaged: readonly string[] }
  /**
   * Resolves when the record is on the disk for good.
   * @throws SpoolFullError, SpoolBrokenError; RangeError for a record of more than RECORD_BYTES_MAX bytes
   */
  append(record: string): Promise<void>
  /** The same without haste: it goes with others, a few milliseconds later. Calls back only if it is lost. */
  put(record: string, onLost: (error: Error) => void): void
  /** Whether a new request that must not run unrecorded may start. */
  hasRoom(): boolean
  /** The next run of records after the last one read, all of them durable. Waits for one. */
  read(limit: { records: number; bytes: number }, signal: AbortSignal): Promise<SpooledRun>
  /** Everything up to here is stored elsewhere for good: its files may go. */
  release(through: bigint): Promise<void>
  /** The highest number that was ever given. */
  readonly last: bigint
  readonly size: { readonly bytes: number; readonly unshipped: number }
  /** Why nothing can be recorded any more; only a restart helps. */
  readonly broken: string | undefined
  close(): Promise<void>
}

/** The spool holds as much as it may: the audit service has not been reached for too long. */
export class SpoolFullError extends Error {
  override readonly name = 'SpoolFullError'
}

/** The disk failed in a way after which nothing it says about durability can be trusted. */
class SpoolBrokenError extends Error {
  override readonly name = 'SpoolBrokenError'
}

/** Who waits for a record. */
type Pending = { readonly onWritten?: () => void; readonly onLost: (error: Error) => void }

/** What is written together. */
type Group = { readonly frames: FrameGroup; readonly pending: Pending[] }

const SEGMENT_BYTES_MAX = 8 * 1024 * 1024
const GROUP_RECORDS_MAX = 512
const GROUP_BYTES_MAX = 1024 * 1024
const GROUP_BYTES_MIN = 4 * 1024
const QUEUED_RECORDS_MAX = 20_000
/** How long what has no haste waits for others, and for how many. */
const GATHER_MS = 20
const GATHER_RECORDS = 256
/** Above this share only denials and outcomes are taken: what has begun must be closed. */
const NEW_REQUESTS_SHARE = 0.9

export async function openSpool(settings: {
  dir: string
  bytesMax: number
  segmentBytesMax?: number
}): Promise<Spool> {
  const { dir, bytesMax } = settings
  // The last segment is never released: it must be a small part of what there may be.
  const { segmentBytesMax = Math.min(SEGMENT_BYTES_MAX, Math.floor(bytesMax / 16)) } = settings
  const { id, segments, tornBytes, damaged } = await recoverSpool(dir)
  let active = lastOf(segments)
  let file = await open(active.path, 'a')
  const recent = createRecentItems<Buffer>({ bytesOf: (record) => record.length })
  /** Oldest first. Only the last one takes records. */
  const queue: Group[] = []
  let queued = 0
  /** The next group has room to begin with for what the one before took, and some more: they differ. */
  let groupBytes = GROUP_BYTES_MIN
  let flushing: Promise<void> | undefined
  let gathering: NodeJS.Timeout | undefined
  /** What is queued is to be written now, also behind a write that is under way. */
  let isDue = false
  let broken: string | undefined
  let closed = false
  let wake: () => void = () => {}
  const oldest = segments[0] ?? active
  const cursor: Cursor = { segment: oldest, offset: 0, next: oldest.first }
  let released = oldest.first - 1n

  const bytesHeld = () => segments.reduce((sum, segment) => sum + segment.bytes, 0)

  async function flushAll(): Promise<void> {
    while (isDue && broken === undefined) {
      const group = nextGroup()
      // What arrives from here on has a time of its own.
      isDue = queue.length > 0
      if (group === undefined) break
      try {
        await writeGroup(group)
        for (const { onWritten } of group.pending) onWritten?.()
        wake()
      } catch (cause) {
        const error = cause instanceof Error ? cause : new Error('writing to the spool', { cause })
        for (const { onLost } of group.pending) onLost(error)
      }
    }
    if (broken !== undefined) {
      for (let group = nextGroup(); group !== undefined; group = nextGroup()) {
        for (const { onLost } of group.pending) onLost(new SpoolBrokenError(broken))
      }
    }
    flushing = undefined
  }

  function nextGroup(): Group | undefined {
    const group = queue.shift()
    queued -= group?.pending.length ?? 0
    return group
  }

  /** Writes what is queued: at once, or behind what is being written. */
  function flush(): void {
    clearTimeout(gathering)
    gathering = undefined
    isDue = true
    flushing ??= Promise.resolve().then(flushAll)
  }

  /** @throws Why a record cannot even wait to be written. */
  function enqueue(record: string, pending: Pending): void {
    if (broken !== undefined) throw new SpoolBrokenError(broken)
    if (closed) throw new SpoolBrokenError('the spool is closed')
    if (queued >= QUEUED_RECORDS_MAX) throw full()
    const group = groupWithRoom()
    group.frames.add(record)
    group.pending.push(pending)
    queued += 1
  }

  function groupWithRoom(): Group {
    const last = queue.at(-1)
    const hasRoom =
      last !== undefined &&
      last.pending.length < GROUP_RECORDS_MAX &&
      last.frames.bytes < GROUP_BYTES_MAX
    if (hasRoom) return last
    const group = { frames: new FrameGroup(groupBytes), pending: [] }
    queue.push(group)
    return group
  }

  async function writeGroup(group: Group): Promise<void> {
    if (active.bytes >= segmentBytesMax) await roll()
    const first = active.next
    const { frames, records } = group.frames.numbered(first)
    groupBytes = Math.max(GROUP_BYTES_MIN, Math.ceil(1.25 * frames.length))
    if (bytesHeld() + frames.length > bytesMax) throw full()
    try {
      await file.writeFile(frames)
    } catch (cause) {
      // The numbers were not used: take the half-written group away, or nothing can follow it.
      await file.truncate(active.bytes).catch(() => {
        broken = 'a failed write could not be undone'
      })
      throw new SpoolBrokenError('writing to the spool', { cause })
    }
    try {
      await file.datasync()
    } catch (cause) {
      // After a failed fsync the kernel may have dropped the pages: a second one proves nothing.
      broken = 'the disk refused to make a record durable'
      throw new SpoolBrokenError(broken, { cause })
    }
    active.bytes += frames.length
    active.next += BigInt(records.length)
    for (const [at, record] of records.entries()) recent.add(Number(first) + at, record)
  }

  async function roll(): Promise<void> {
    const next = await createSegment(dir, active.next)
    await file.close()
    file = await open(next.path, 'a')
    active = next
    segments.push(next)
  }

  return {
    id,
    recovered: { tornBytes, damaged },

    append: (record) =>
      new Promise((resolve, reject) => {
        enqueue(record, { onWritten: resolve, onLost: reject })
        flush()
      }),

    put(record, onLost) {
      try {
        enqueue(record, { onLost })
      } catch (error) {
        onLost(error instanceof Error ? error : new Error('an audit record', { cause: error }))
        return
      }
      if (queued >= GATHER_RECORDS) flush()
      else gathering ??= setTimeout(flush, GATHER_MS)
    },

    hasRoom: () => broken === undefined && !closed && bytesHeld() < bytesMax * NEW_REQUESTS_SHARE,

    async read(limit, signal) {
      for (;;) {
        signal.throwIfAborted()
        const first = cursor.next
        // What was written last need not be read back.
        const records = recent.take(Number(first), { items: limit.records, bytes: limit.bytes })
        passOver(cursor, segments, records)
        if (records.length > 0) return { first, records }
        const run = await readRun(cursor, segments, limit)
        if (run.records.length > 0) return run
        // A group may have become durable since the look above.
        if (cursor.next !== active.next) continue
        await new Promise<void>((resolve) => {
          const stop = () => {
            signal.removeEventListener('abort', stop)
            resolve()
          }
          wake = stop
          signal.addEventListener('abort', stop)
        })
      }
    },

    async release(through) {
      if (through > released) released = through
      for (;;) {
        const first = segments[0]
        // The last segment stays: it knows which number comes next.
        if (first === undefined || first === active || first.next - 1n > released) return
        if (first === cursor.segment) return
        segments.shift()
        await rm(first.path, { force: true })
      }
    },

    get size() {
      const unshipped = active.next - 1n - released
      const written = Number(unshipped < 0n ? 0n : unshipped)
      return { bytes: bytesHeld(), unshipped: written + queued }
    },
    get last() {
      return active.next - 1n
    },
    get broken() {
      return broken
    },

    async close() {
      closed = true
      flush()
      await flushing
      clearTimeout(gathering)
      await file.close()
    },
  }
}

function full(): SpoolFullError {
  return new SpoolFullError('the audit spool is full')
}

function lastOf(segments: readonly Segment[]): Segment {
  const last = segments.at(-1)
  if (last === undefined) throw new Error('a recovered spool has a segment')
  return last
}
