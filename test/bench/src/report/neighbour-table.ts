import type { NeighbourRun } from '../lines/measure-neighbours.ts'
import { neighbours } from '../lines/neighbours.ts'
import type { Results } from '../results.ts'
import { spreadOf } from '../statistics.ts'
import type { Table } from './table.ts'
import { withRange } from './with-range.ts'

const MIB = 1024 * 1024

/** What one user does to the others. */
export function neighbourTable(results: Results): Table | undefined {
  const rows = neighbours.flatMap(({ id, title }) => {
    const runs = results.neighbours.filter(({ neighbour }) => neighbour === id)
    if (runs.length === 0) return []
    const of = (figure: (run: NeighbourRun) => number) => spreadOf(runs.map(figure))
    const memory = Object.keys(runs[0]?.bytesBefore ?? {}).map((name) => {
      const mib = (bytes: (run: NeighbourRun) => Readonly<Record<string, number>>) =>
        (of((run) => bytes(run)[name] ?? 0).median / MIB).toFixed(0)
      const [before, during, after] = [
        mib((run) => run.bytesBefore),
        mib((run) => run.bytesDuring),
        mib((run) => run.bytesAfter),
      ]
      return `${name} ${before}, ${during}, ${after}`
    })
    return [
      [
        title,
        (of((run) => run.before.p99Micros).median / 1000).toFixed(2),
        (of((run) => run.during.p99Micros).median / 1000).toFixed(2),
        withRange(
          of(({ factor }) => factor),
          1,
        ),
        memory.join('; '),
        answers(runs),
      ],
    ]
  })
  if (rows.length === 0) return undefined
  const head = [
    "the others' p99 ms before",
    'beside it',
    'factor',
    'MiB before, at most, after',
    'answers to that user',
  ]
  return { title: 'one user does', head, rows }
}

function answers(runs: readonly NeighbourRun[]): string {
  const counts = new Map<string, number>()
  for (const { statuses } of runs) {
    for (const [status, count] of Object.entries(statuses)) {
      counts.set(status, (counts.get(status) ?? 0) + count)
    }
  }
  if (counts.size === 0) return ''
  const retryAfter = runs.reduce((sum, run) => sum + run.retryAfter, 0)
  const each = [...counts].map(([status, count]) => `${count} x ${status}`)
  return `${each.join(', ')}; ${retryAfter} with Retry-After in seconds`
}
