import { UsageError } from '@postern/bootstrap'
import { type LoadLine, loadLines } from './lines/load-lines.ts'
import { type Neighbour, neighbours } from './lines/neighbours.ts'
import { type WatchLine, watchLines } from './lines/watch-lines.ts'
import type { Options } from './options.ts'
import { STACKS, type StackName } from './stacks/stack.ts'

/** What is to be measured, and on what. */
export type Choice = {
  readonly loads: readonly LoadLine[]
  readonly watches: readonly WatchLine[]
  readonly work: boolean
  readonly neighbours: readonly Neighbour[]
  readonly scale: boolean
  readonly stacks: ReadonlySet<StackName>
}

export const WORK = 'work'
export const SCALE = 'scale'

/** @throws UsageError for a line or a stack that there is not */
export function chooseLines({ only, stacks }: Pick<Options, 'only' | 'stacks'>): Choice {
  const all = [...[...loadLines, ...watchLines, ...neighbours].map(({ id }) => id), WORK, SCALE]
  refuseUnknown('line', only, all)
  refuseUnknown('stack', stacks, Object.keys(STACKS))
  const isWanted = (id: string) => only === undefined || only.includes(id)
  const loads = loadLines.filter(({ id }) => isWanted(id))
  const watches = watchLines.filter(({ id }) => isWanted(id))
  const scale = isWanted(SCALE)
  const needed = [...loads, ...watches].flatMap((line) => line.stacks)
  const beside = neighbours.filter(({ id }) => isWanted(id))
  if (scale || beside.length > 0) needed.push('postern')
  return {
    loads,
    watches,
    work: isWanted(WORK),
    neighbours: beside,
    scale,
    stacks: new Set(needed.filter((name) => stacks === undefined || stacks.includes(name))),
  }
}

function refuseUnknown(
  what: string,
  names: readonly string[] | undefined,
  known: readonly string[],
): void {
  const unknown = names?.find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw new UsageError(`no ${what} "${unknown}"; there are: ${known.join(', ')}`)
  }
}
