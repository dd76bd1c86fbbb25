import { stringify } from 'yaml'
import type { Json } from '../api.ts'
import { printable } from './printable.ts'

export type Format = 'table' | 'json' | 'yaml'
export const FORMATS: readonly Format[] = ['table', 'json', 'yaml']

/** A column of a table: its heading, and what stands there for an item. */
export type Column = readonly [heading: string, value: (item: Json) => string]

/** One thing or a list of them, as a table for people or whole for programs. */
export function format(
  what: Json | readonly Json[],
  columns: readonly Column[],
  as: Format,
): string {
  switch (as) {
    case 'json':
      return JSON.stringify(what, undefined, 2)
    case 'yaml':
      return stringify(what).trimEnd()
    case 'table':
      return table(isList(what) ? what : [what], columns)
  }
}

/** Array.isArray does not narrow a readonly array away. */
function isList(what: Json | readonly Json[]): what is readonly Json[] {
  return Array.isArray(what)
}

const GAP = '   '

function table(items: readonly Json[], columns: readonly Column[]): string {
  const rows = [
    columns.map(([heading]) => heading),
    ...items.map((item) => columns.map(([, value]) => printable(value(item)))),
  ]
  const widths = columns.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)))
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join(GAP)
        .trimEnd(),
    )
    .join('\n')
}
