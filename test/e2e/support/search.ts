import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { withDatabase } from '@postern/bootstrap'
import type { E2eWorld } from './e2e-world.ts'

/** How every token of a service account begins: the header of a JWT in JSON, in base64url. */
export const JWT_BEGINNING = 'eyJhbGciOi'
const JWT = /eyJhbGciOi[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{40,}\.[A-Za-z0-9_-]{40,}/

/** Files below a folder that hold the text, whatever else they hold. */
export function filesWith(dir: string, text: string, skip: readonly string[] = []): string[] {
  return readdirSync(dir, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !skip.some((folder) => file.startsWith(join(dir, folder))))
    .filter((file) => contentOf(file).includes(text))
}

function contentOf(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch {
    // A server has just removed it.
    return Buffer.alloc(0)
  }
}

/** Tables of the platform with a row in which the text stands, as text or as bytes. */
export async function tablesWith(world: E2eWorld, text: string): Promise<string[]> {
  return await withDatabase(world, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `select quote_ident(table_schema) || '.' || quote_ident(table_name) as name
        from information_schema.tables
        where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'`,
    )
    const hex = Buffer.from(text).toString('hex')
    const found: string[] = []
    for (const { name } of rows) {
      const { rowCount } = await client.query(
        `select 1 from ${name} as row where strpos(row::text, $1) > 0 or strpos(row::text, $2) > 0`,
        [text, hex],
      )
      if (rowCount !== 0) found.push(name)
    }
    return found
  })
}

const PIECE_BYTES = 4 * 1024 * 1024
const OVERLAP_BYTES = 4096

/** Whether a whole service account token lies in what the process may write to. Linux only. */
export function holdsToken(pid: number): boolean {
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  try {
    return writableParts(pid).some(({ from, to }) => partHoldsToken(memory, from, to))
  } finally {
    closeSync(memory)
  }
}

function writableParts(pid: number): { from: number; to: number }[] {
  return readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, from = '', to = ''] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? []
      const part = { from: Number.parseInt(from, 16), to: Number.parseInt(to, 16) }
      return Number.isSafeInteger(part.to) ? [part] : []
    })
}

function partHoldsToken(memory: number, from: number, to: number): boolean {
  const piece = Buffer.alloc(PIECE_BYTES + OVERLAP_BYTES)
  for (let at = from; at < to; at += PIECE_BYTES) {
    const length = Math.min(piece.length, to - at)
    let read = 0
    try {
      read = readSync(memory, piece, 0, length, at)
    } catch {
      // Reserved, and not there.
      continue
    }
    const bytes = piece.subarray(0, read)
    if (!bytes.includes(JWT_BEGINNING)) continue
    if (JWT.test(bytes.toString('latin1'))) return true
  }
  return false
}
