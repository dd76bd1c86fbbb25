import { mebibytes } from '../platform/memory.ts'

/** One measured thing, and the most that is wanted of it, in the same unit. */
export type Row = { readonly name: string; readonly wanted?: number } & (
  | { readonly bytes: number; readonly seconds?: undefined }
  | { readonly seconds: number; readonly bytes?: undefined }
)

/** Whether the row is within what is wanted of it, where anything is. */
export function isOver(row: Row): boolean {
  return row.wanted !== undefined && measured(row) >= row.wanted
}

export function toTable(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.name,
    inUnit(row, measured(row)),
    row.wanted === undefined ? '' : `< ${inUnit(row, row.wanted)}`,
    isOver(row) ? 'OVER' : '',
  ])
  const all = [['', 'measured', 'wanted', ''], ...cells]
  const widths = [0, 1, 2].map((column) =>
    Math.max(...all.map((line) => (line[column] ?? '').length)),
  )
  return all
    .map(([name = '', ...rest]) =>
      [name.padEnd(widths[0] ?? 0), ...rest.map((cell, at) => cell.padStart(widths[at + 1] ?? 0))]
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function measured(row: Row): number {
  return row.bytes ?? row.seconds
}

function inUnit(row: Row, value: number): string {
  return row.bytes === undefined ? `${value.toFixed(1)} s` : mebibytes(value)
}
