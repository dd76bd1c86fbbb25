import { optionsOf, UsageError } from '@postern/bootstrap'

export const HELP = `npm run bench: Postern as it ships beside its peers, on this machine

  npm run bench                       everything, about 26 minutes
  npm run bench -- --only get,list    only these lines
  npm run bench -- --stacks postern,go-tunnel-2
                                      only these stacks
  npm run bench -- --rounds 5         how often each is measured (3)
  npm run bench -- --quick            one short round, to see whether it works
  npm run bench -- --only scale --scale-minutes 15
                                      how long users are added to clusters for (2)
  npm run bench -- --json FILE        where all figures go (.postern-bench/bench.json)
  npm run bench -- --write-docs       puts them into docs/ as well, where it has measured all of a document
  npm run bench -- --from FILE        measures nothing, takes the figures of an earlier run
  npm run bench -- --hold             starts everything, says how to reach it, waits for Ctrl-C

It ends with an error when something could not be measured, and not when a bar is missed.`

export type Options = {
  /** All lines when absent. */
  readonly only: readonly string[] | undefined
  /** All stacks when absent. */
  readonly stacks: readonly string[] | undefined
  readonly rounds: number
  readonly quick: boolean
  readonly scaleSeconds: number
  readonly json: string | undefined
  readonly writeDocs: boolean
  readonly from: string | undefined
  readonly hold: boolean
}

const ROUNDS = 3
const ROUNDS_MAX = 100
const SCALE_MINUTES = 2
const SCALE_MINUTES_MAX = 120

/** `undefined`: only help was wanted. @throws UsageError */
export function parseOptions(args: readonly string[]): Options | undefined {
  const values = optionsOf('npm run bench', args, {
    only: { type: 'string' },
    stacks: { type: 'string' },
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    'scale-minutes': { type: 'string' },
    json: { type: 'string' },
    'write-docs': { type: 'boolean', default: false },
    from: { type: 'string' },
    hold: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  })
  if (values.help) return undefined
  const rounds = Number(values.rounds ?? (values.quick ? 1 : ROUNDS))
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > ROUNDS_MAX) {
    throw new UsageError(`--rounds is a whole number from 1 to ${ROUNDS_MAX}`)
  }
  const scaleMinutes = Number(values['scale-minutes'] ?? (values.quick ? 0.3 : SCALE_MINUTES))
  if (!(scaleMinutes > 0 && scaleMinutes <= SCALE_MINUTES_MAX)) {
    throw new UsageError(`--scale-minutes is more than 0 and at most ${SCALE_MINUTES_MAX}`)
  }
  return {
    only: values.only?.split(','),
    stacks: values.stacks?.split(','),
    rounds,
    quick: values.quick,
    scaleSeconds: scaleMinutes * 60,
    json: values.json,
    writeDocs: values['write-docs'],
    from: values.from,
    hold: values.hold,
  }
}
