import type { AuditEvent } from './audit-event.ts'
import { type FieldWanted, type SearchedField, searchedFields } from './record-filter.ts'

/**
 * Entries for which it is kept together which of them have a value. The more, the fewer rows for each
 * record of one of many users; and the more are read for a search behind the last full block.
 */
export const BLOCK_ENTRIES = 1024

export function blockOf(idx: number): number {
  return Math.floor(idx / BLOCK_ENTRIES)
}

/** A value that some record has. */
export type Term = { readonly name: SearchedField; readonly value: string }

/** Which entries of a block have it: a bit for each, the first is the highest of the first byte. */
export type BlockTerm = Term & { readonly block: number; readonly positions: Buffer }

/**
 * Gateways make ids that begin with the time (RFC 9562, 5.7): those of a quarter of a second begin with
 * the same characters, so that busy blocks have a few beginnings instead of 256 ids.
 */
const AUDIT_ID_CHARS = 11

type Entry = { readonly idx: number; readonly event: AuditEvent | undefined }

/** The values of entries that are in the order of the log, each once for a block. */
export function termsOf(entries: readonly Entry[]): readonly BlockTerm[] {
  return searchedFields.flatMap((name) => termsOfField(name, entries))
}

function termsOfField(name: SearchedField, entries: readonly Entry[]): readonly BlockTerm[] {
  const terms: BlockTerm[] = []
  let block = -1
  const found = new Map<string, Buffer>()
  const close = () => {
    for (const [value, positions] of found) terms.push({ name, value, block, positions })
    found.clear()
  }
  for (const { idx, event } of entries) {
    if (blockOf(idx) !== block) {
      close()
      block = blockOf(idx)
    }
    const value = event === undefined ? '' : toValue(name, event[name])
    // Nothing is found by what is not there.
    if (value === '') continue
    let positions = found.get(value)
    if (positions === undefined) {
      positions = Buffer.alloc(BLOCK_ENTRIES / 8)
      found.set(value, positions)
    }
    const at = idx % BLOCK_ENTRIES
    positions[at >> 3] = (positions[at >> 3] ?? 0) | bitOf(at)
  }
  close()
  return terms
}

/** What matching records have; others may have it too. */
export function termsWanted(fields: readonly FieldWanted[]): readonly Term[] {
  return fields
    .filter(({ text }) => text !== '')
    .map(({ field, text }) => ({ name: field, value: toValue(field, text) }))
}

/** The entries of a block whose bit is set. */
export function entriesAt({ block, positions }: Pick<BlockTerm, 'block' | 'positions'>): number[] {
  const entries: number[] = []
  for (let at = 0; at < BLOCK_ENTRIES; at += 1) {
    if (((positions[at >> 3] ?? 0) & bitOf(at)) !== 0) entries.push(block * BLOCK_ENTRIES + at)
  }
  return entries
}

function bitOf(at: number): number {
  return 0x80 >> (at & 7)
}

function toValue(name: SearchedField, text: string): string {
  return name === 'auditId' ? text.slice(0, AUDIT_ID_CHARS).toWellFormed() : text
}
