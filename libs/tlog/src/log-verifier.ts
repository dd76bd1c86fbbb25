import { openCheckpoint } from './checkpoint.ts'
import { emptyFrontier, type Frontier, frontierRoot, growFrontier } from './frontier.ts'
import { hashesEqual, leafHash } from './hash.ts'
import { NoteError } from './signed-note.ts'

export type LogVerdict =
  | { readonly ok: true; readonly origin: string; readonly size: number }
  | { readonly ok: false; readonly problem: LogProblem; readonly message: string }

export type LogProblem =
  | 'CHECKPOINT_INVALID'
  | 'REMEMBERED_CHECKPOINT_INVALID'
  | 'LOG_SHRANK'
  | 'HISTORY_REWRITTEN'
  | 'ENTRIES_MISSING'
  | 'ENTRIES_ALTERED'

/**
 * Checks a log from its first entry to its last, as they come: that the entries are those that the
 * checkpoint was signed for, and that they begin with those of a checkpoint remembered from before.
 * Needs memory for one batch only. Entries after the checkpoint's size are left alone.
 */
export async function verifyLog(log: {
  /** Signed notes. */
  checkpoint: string
  remembered?: string | undefined
  verifierKey: string
  /** Batches of entries as they were hashed, in order, from the first. An empty one ends them. */
  leaves: AsyncIterable<readonly Uint8Array[]> | Iterable<readonly Uint8Array[]>
  onProgress?: (verified: number, size: number) => void
}): Promise<LogVerdict> {
  const head = tryOpen(log.checkpoint, log.verifierKey)
  if ('message' in head) return problem('CHECKPOINT_INVALID', head.message)
  const before = log.remembered === undefined ? undefined : tryOpen(log.remembered, log.verifierKey)
  if (before !== undefined && 'message' in before) {
    return problem('REMEMBERED_CHECKPOINT_INVALID', before.message)
  }
  if (before !== undefined && before.size > head.size) {
    return problem(
      'LOG_SHRANK',
      `the log had ${before.size} entries when it was last verified and now has ${head.size}`,
    )
  }

  let frontier: Frontier = emptyFrontier
  const grow = (batch: readonly Uint8Array[]) => {
    frontier = growFrontier(frontier, batch.map(leafHash))
  }
  const stillTheSame = () =>
    before?.size !== frontier.size || hashesEqual(frontierRoot(frontier), before.root)

  let unchanged = stillTheSame()
  for await (const batch of log.leaves) {
    if (batch.length === 0) break
    const wanted = batch.slice(0, head.size - frontier.size)
    const passing = before === undefined ? 0 : Math.max(0, before.size - frontier.size)
    grow(wanted.slice(0, passing))
    unchanged &&= stillTheSame()
    grow(wanted.slice(passing))
    log.onProgress?.(frontier.size, head.size)
    if (!unchanged || frontier.size === head.size) break
  }

  if (!unchanged) {
    return problem(
      'HISTORY_REWRITTEN',
      `the first ${before?.size} entries are not those that were verified before`,
    )
  }
  if (frontier.size < head.size) {
    return problem(
      'ENTRIES_MISSING',
      `the checkpoint is for ${head.size} entries and only ${frontier.size} are there`,
    )
  }
  if (!hashesEqual(frontierRoot(frontier), head.root)) {
    return problem(
      'ENTRIES_ALTERED',
      'the entries are not those that the checkpoint was signed for',
    )
  }
  return { ok: true, origin: head.origin, size: head.size }
}

function tryOpen(note: string, verifierKey: string) {
  try {
    return openCheckpoint(note, verifierKey)
  } catch (error) {
    if (error instanceof NoteError) return { message: error.message }
    throw error
  }
}

function problem(name: LogProblem, message: string): LogVerdict {
  return { ok: false, problem: name, message }
}
