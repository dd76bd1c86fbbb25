import { watches } from '../bars/figures.ts'
import type { WatchRun } from '../lines/measure-watches.ts'
import type { WatchLine } from '../lines/watch-lines.ts'
import type { Results } from '../results.ts'
import { STACKS } from '../stacks/stack.ts'
import { spreadOf, sumOf } from '../statistics.ts'
import type { Table } from './table.ts'
import { withRange } from './with-range.ts'

const KIB = 1024
const GIB = 1024 ** 3

/** What idle watches take, by hop, and what an event on all of them costs. */
export function watchTable(line: WatchLine, results: Results): Table | undefined {
  const rows = line.stacks.flatMap((stack) => {
    const runs = watches(results, line.id, stack)
    if (runs.length === 0) return []
    const of = (figure: (run: WatchRun) => number) => spreadOf(runs.map(figure))
    const hops = Object.keys(runs[0]?.bytesPerWatch ?? {}).map((name) => {
      const { median } = of((run) => run.bytesPerWatch[name] ?? 0)
      return { name, kib: (median / KIB).toFixed(1), perGib: (GIB / median / 1000).toFixed(0) }
    })
    return [
      [
        STACKS[stack],
        String(runs[0]?.watches ?? 0),
        withRange(
          of((run) => sumOf(Object.values(run.bytesPerWatch)) / KIB),
          1,
        ),
        hops.map(({ name, kib }) => `${name} ${kib}`).join(', '),
        hops.map(({ name, perGib }) => `${name} ${perGib}`).join(', '),
        (of((run) => run.eventP50Micros).median / 1000).toFixed(0),
        (of((run) => run.eventAllP50Micros).median / 1000).toFixed(0),
        of((run) => run.eventHopMicros).median.toFixed(1),
      ],
    ]
  })
  if (rows.length === 0) return undefined
  const head = [
    'watches',
    'KiB a watch',
    'each hop',
    'thousands in a GiB',
    'event p50 ms',
    'to all ms',
    'CPU us of hops',
  ]
  return { title: line.title, head, rows }
}
