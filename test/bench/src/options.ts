import { parseArgs } from 'node:util'

export const HELP = `npm run bench: Postern as it ships beside its peers, on this machine

  npm run bench                       everything
  npm run bench -- --only get,list    only these lines
  npm run bench -- --stacks postern,go-tunnel-2
                                      only these stacks
  npm run bench -- --rounds 5         how often each is measured (3)
  npm run bench -- --quick            one short round with few users, to see whether it works
  npm run bench -- --json FILE        all figures, as JSON
  npm run bench -- --hold             starts everything, says how to reach it, waits for Ctrl-C`

export type Options = {
  readonly only: readonly string[] | undefined
  readonly stacks: readonly string[] | undefined
  readonly rounds: number
  readonly quick: boolean
  readonly json: string | undefined
  readonly hold: boolean
}

/** `undefined`: only help was wanted. @throws Error for what is not an option */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      stacks: { type: 'string' },
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      hold: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3))
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 100) {
    throw new Error('--rounds is a whole number from 1 to 100')
  }
  return {
    only: values.only?.split(','),
    stacks: values.stacks?.split(','),
    rounds,
    quick: values.quick,
    json: values.json,
    hold: values.hold,
  }
}
