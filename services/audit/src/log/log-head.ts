import {
  EMPTY_ROOT,
  frontierRoot,
  hashesEqual,
  NoteError,
  type NoteSigner,
  openCheckpoint,
  restoreEdge,
  signCheckpoint,
  type TreeEdge,
} from '@postern/tlog'
import { type Kysely, sql } from 'kysely'
import type { AuditDatabase } from '../database.ts'
import { tilesOf } from './tile-table.ts'

export type LogHead = { readonly size: number; readonly root: Uint8Array; readonly note: string }

/** What is in the database does not fit together or was not signed with this log's key. */
export class LogDamagedError extends Error {
  override readonly name = 'LogDamagedError'
}

/** An arbitrary number: of the advisory locks in the database, the one of the log's writer. */
const WRITER_LOCK = 7_305_177_264

/** To the end of the transaction nobody else writes. Waits for its turn as long as any lock may take. */
export async function lockForWriting(tx: Kysely<AuditDatabase>): Promise<void> {
  await sql`select pg_advisory_xact_lock(${WRITER_LOCK})`.execute(tx)
}

/**
 * The head itself that is known already, where it is still the same: its signature is right.
 *
 * @throws LogDamagedError when there is none, or its signature is wrong
 */
export async function readLogHead(
  db: Kysely<AuditDatabase>,
  verifierKey: string,
  known?: LogHead,
): Promise<LogHead> {
  const row = await db
    .selectFrom('log_head')
    .select(['size', 'root', 'checkpoint'])
    .executeTakeFirst()
  if (row === undefined) throw new LogDamagedError('the audit log has no checkpoint')
  const head = { size: Number(row.size), root: row.root, note: row.checkpoint }
  if (known !== undefined && isSame(head, known)) return known
  const signed = openOwnCheckpoint(head.note, verifierKey)
  if (signed.size !== head.size || !hashesEqual(signed.root, head.root)) {
    throw new LogDamagedError('the audit log is not what its checkpoint was signed for')
  }
  return head
}

/** Signs the empty log, once. */
export async function ensureLogHead(db: Kysely<AuditDatabase>, signer: NoteSigner): Promise<void> {
  const empty = { size: 0, root: EMPTY_ROOT }
  await db
    .insertInto('log_head')
    .values({ ...empty, root: Buffer.from(empty.root), checkpoint: signCheckpoint(empty, signer) })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

export async function writeLogHead(
  db: Kysely<AuditDatabase>,
  tree: { size: number; root: Uint8Array },
  signer: NoteSigner,
): Promise<LogHead> {
  const note = signCheckpoint(tree, signer)
  await sql`
    update log_head set size = ${tree.size}, root = ${Buffer.from(tree.root)},
      checkpoint = ${note}`.execute(db)
  return { ...tree, note }
}

/**
 * The tree's edge out of the stored tiles, once it was found to be what was signed.
 *
 * @throws LogDamagedError
 */
export async function loadEdge(db: Kysely<AuditDatabase>, head: LogHead): Promise<TreeEdge> {
  const edge = await readEdge(db, head.size)
  if (!hashesEqual(frontierRoot(edge.frontier), head.root)) {
    throw new LogDamagedError(
      'the tiles of the audit log are not what its checkpoint was signed for',
    )
  }
  return edge
}

function isSame(one: LogHead, other: LogHead): boolean {
  return one.size === other.size && hashesEqual(one.root, other.root) && one.note === other.note
}

async function readEdge(db: Kysely<AuditDatabase>, size: number): Promise<TreeEdge> {
  try {
    return await restoreEdge(size, tilesOf(db))
  } catch (error) {
    if (error instanceof RangeError) {
      throw new LogDamagedError('the audit log lacks tiles', { cause: error })
    }
    throw error
  }
}

function openOwnCheckpoint(note: string, verifierKey: string) {
  try {
    return openCheckpoint(note, verifierKey)
  } catch (error) {
    if (!(error instanceof NoteError)) throw error
    throw new LogDamagedError(
      'the audit log was signed with another key: set POSTERN_AUDIT_SIGNING_KEY_FILE and POSTERN_AUDIT_LOG_ORIGIN to what this log was started with',
      { cause: error },
    )
  }
}
