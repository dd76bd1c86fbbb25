import { judge } from '../bars/bar.ts'
import { bars } from '../bars/bars.ts'
import { loadLines } from '../lines/load-lines.ts'
import { watchLines } from '../lines/watch-lines.ts'
import type { Machine } from '../machine.ts'
import type { Results } from '../results.ts'
import { barsTable } from './bars-table.ts'
import { loadTable } from './load-table.ts'
import { neighbourTable } from './neighbour-table.ts'
import type { Table } from './table.ts'
import { watchTable } from './watch-table.ts'
import { workTable } from './work-table.ts'

/** What every table of ratios has to say. */
export const UNEQUAL =
  'Postern runs as it ships, with authentication, decision and audit of every request; nothing else in the tables does any of it.'

/** What is wanted, of what this run has measured. */
export function barsOf(results: Results): Table | undefined {
  const judged = bars.map((bar) => judge(bar, results)).filter((bar) => bar.measured !== undefined)
  return judged.length === 0 ? undefined : barsTable(judged)
}

/** What was measured, line by line. */
export function tablesOf(results: Results): Table[] {
  const tables = [
    ...loadLines.map((line) => loadTable(line, results)),
    ...watchLines.map((line) => watchTable(line, results)),
    workTable(results),
    neighbourTable(results),
  ]
  return tables.filter((table) => table !== undefined)
}

/** Where and how the figures were made. */
export function provenance({ startedAt, machine, rounds, quick, minutes }: Results): string {
  const how = quick
    ? 'a short run, to see whether everything works: its figures say little'
    : `medians of ${rounds} rounds with the smallest and largest in brackets`
  return `${startedAt.slice(0, 10)}, ${minutes.toFixed(0)} minutes, ${how}. ${ofMachine(machine)}`
}

function ofMachine({ processors, memoryGiB, system, node, go, loadBefore }: Machine): string {
  const load = `load ${loadBefore.toFixed(1)} before it began`
  return `${processors}, ${memoryGiB} GiB, ${system}, Node ${node}, ${go}, ${load}.`
}
