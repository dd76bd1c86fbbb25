import type { LoadLine } from '../lines/load-lines.ts'
import type { LoadRun } from '../lines/measure-loads.ts'
import { STACKS } from '../stacks/stack.ts'
import { spreadOf } from '../statistics.ts'
import { toTable } from './table.ts'

const MIB = 1024 * 1024

/** One line's medians for every stack that was measured. */
export function loadTable(line: LoadLine, runs: readonly LoadRun[]): string {
  const rows = line.stacks.flatMap((stack) => {
    const own = runs.filter((run) => run.line === line.id && run.stack === stack)
    if (own.length === 0) return []
    const of = (figure: (run: LoadRun) => number) => spreadOf(own.map(figure))
    const perSecond = of((run) => run.perSecond)
    const hops = Object.keys(own[0]?.hops ?? {})
    const beside = of((run) => Object.values(run.beside).reduce((sum, one) => sum + one, 0))
    return [
      [
        STACKS[stack],
        `${perSecond.median.toFixed(0)} (${perSecond.min.toFixed(0)}-${perSecond.max.toFixed(0)})`,
        (of((run) => run.p50Micros).median / 1000).toFixed(2),
        (of((run) => run.p99Micros).median / 1000).toFixed(2),
        of((run) => run.hopMicros).median.toFixed(1),
        hops.map((hop) => `${hop} ${of((run) => run.hops[hop] ?? 0).median.toFixed(1)}`).join(', '),
        beside.median === 0 ? '' : beside.median.toFixed(1),
        (of((run) => run.bytesPerSecond).median / MIB).toFixed(0),
      ],
    ]
  })
  const head = [
    'per second',
    'p50 ms',
    'p99 ms',
    'CPU us of hops',
    'each',
    'CPU us beside',
    'MiB/s',
  ]
  return toTable([[line.title, ...head], ...rows])
}
