import type { WorkRun } from '../lines/measure-work.ts'
import type { Results } from '../results.ts'
import { spreadOf } from '../statistics.ts'
import type { Table } from './table.ts'
import { withRange } from './with-range.ts'

const STEPS: readonly (readonly [string, (run: WorkRun) => number])[] = [
  ['whose token it is', (run) => run.tokenLookUpMicros],
  ['the decision', (run) => run.decisionMicros],
  ['the first decision after a change', (run) => run.firstDecisionMicros],
  ['everything until a request is admitted', (run) => run.admissionMicros],
  ['an audit record: put together and encoded', (run) => run.recordMicros],
  ['an audit record: all of it', (run) => run.wholeMicros],
]

/** What single steps of a request cost the gateway. */
export function workTable({ work }: Results): Table | undefined {
  if (work.length === 0) return undefined
  return {
    title: 'steps of a request in the gateway',
    head: ['CPU us'],
    rows: STEPS.map(([name, figure]) => [name, withRange(spreadOf(work.map(figure)), 2)]),
  }
}
