import { loads } from '../bars/figures.ts'
import type { LoadLine } from '../lines/load-lines.ts'
import type { LoadRun } from '../lines/measure-loads.ts'
import type { Results } from '../results.ts'
import { STACKS } from '../stacks/stack.ts'
import { spreadOf, sumOf } from '../statistics.ts'
import type { Table } from './table.ts'
import { withRange } from './with-range.ts'

const MIB = 1024 * 1024

/** One line's medians for every stack that was measured; `undefined` when none was. */
export function loadTable(line: LoadLine, results: Results): Table | undefined {
  const isStream = line.load.mode === 'up' || line.load.mode === 'down'
  const rows = line.stacks.flatMap((stack) => {
    const runs = loads(results, line.id, stack)
    if (runs.length === 0) return []
    return [[STACKS[stack], ...(isStream ? streamCells(runs) : requestCells(runs))]]
  })
  if (rows.length === 0) return undefined
  return { title: line.title, head: isStream ? STREAM_HEAD : REQUEST_HEAD, rows }
}

const REQUEST_HEAD = [
  'a second',
  'p50 ms',
  'p99 ms',
  'CPU us of hops',
  'each',
  'CPU us beside',
  'MiB/s',
]

function requestCells(runs: readonly LoadRun[]): string[] {
  const of = (figure: (run: LoadRun) => number) => spreadOf(runs.map(figure))
  return [
    withRange(
      of((run) => run.perSecond),
      0,
    ),
    (of((run) => run.p50Micros).median / 1000).toFixed(2),
    (of((run) => run.p99Micros).median / 1000).toFixed(2),
    of((run) => run.hopMicros).median.toFixed(1),
    eachHop(runs, 1),
    beside(runs).toFixed(1),
    (of((run) => run.bytesPerSecond).median / MIB).toFixed(0),
  ]
}

const STREAM_HEAD = ['Gbit/s', 'CPU s of hops', 'each', 'CPU s beside']

function streamCells(runs: readonly LoadRun[]): string[] {
  const of = (figure: (run: LoadRun) => number) => spreadOf(runs.map(figure))
  return [
    withRange(
      of((run) => (run.bytesPerSecond * 8) / 1e9),
      2,
    ),
    of((run) => run.hopSeconds).median.toFixed(2),
    eachHop(runs.map(inSeconds), 2),
    beside(runs.map(inSeconds)).toFixed(2),
  ]
}

/** The only request is the whole stream. */
function inSeconds(run: LoadRun): LoadRun {
  const scaled = (parts: LoadRun['hops']) =>
    Object.fromEntries(Object.entries(parts).map(([name, micros]) => [name, micros / 1e6]))
  return { ...run, hops: scaled(run.hops), beside: scaled(run.beside) }
}

function eachHop(runs: readonly LoadRun[], digits: number): string {
  const names = Object.keys(runs[0]?.hops ?? {})
  return names
    .map((name) => {
      const { median } = spreadOf(runs.map((run) => run.hops[name] ?? 0))
      return `${name} ${median.toFixed(digits)}`
    })
    .join(', ')
}

function beside(runs: readonly LoadRun[]): number {
  return spreadOf(runs.map((run) => sumOf(Object.values(run.beside)))).median
}
