import type { Judged } from '../bars/bar.ts'
import type { Table } from './table.ts'
import { withRange } from './with-range.ts'

/** Every bar, what was measured, and whether that is enough. */
export function barsTable(judged: readonly Judged[]): Table {
  return {
    title: 'bar',
    head: ['measured', 'wanted', ''],
    rows: judged.map((bar) => [bar.title, measured(bar), wanted(bar), verdict(bar)]),
  }
}

function measured({ measured, unit }: Judged): string {
  return measured === undefined ? 'not measured' : `${withRange(measured, digits(unit))} ${unit}`
}

function wanted({ wanted, unit }: Judged): string {
  const text = (figure: number) => figure.toFixed(unit === 'watches a GiB' ? 0 : 2)
  return 'atLeast' in wanted ? `>= ${text(wanted.atLeast)}` : `<= ${text(wanted.atMost)}`
}

function verdict({ margin }: Judged): string {
  if (margin === undefined) return '-'
  const percent = `${Math.abs(margin * 100).toFixed(0)} %`
  return margin >= 0 ? `met, ${percent} to spare` : `MISSED by ${percent}`
}

function digits(unit: Judged['unit']): number {
  return unit === 'watches a GiB' ? 0 : 2
}
