import { optionsOf, partsOf } from '@postern/bootstrap'

/** What a person asked for on the command line. */
export type Options = {
  readonly help: boolean
  readonly list: boolean
  readonly json: boolean
  /** Ids of tools, or beginnings of ids; all when empty. */
  readonly only: readonly string[]
}

export const HELP = `npm run compatibility -- [options]

Plays what clients do, each exercise twice: sent directly to a real kube-apiserver, and through gateway, relay and
agent. Both have to say the same. Says "N passed, M failed", and writes docs/compatibility.md when every client ran;
one that cannot be had here is "not run". Exits with 1 when one failed or did not run, with 2 when it was not understood.
The first run builds older kubectls and helm with Go, which takes minutes for each.

  --only ID         run this client, or those that begin so: --only kubectl-1.27, --only kubectl; may be repeated
  --list            say what there is, and run nothing
  --json            one JSON object at the end instead of lines (npm run --silent compatibility -- --json)
  --help            this

Ctrl-C stops everything in order, a second one ends at once.
`

/** @throws UsageError */
export function parseOptions(args: readonly string[]): Options {
  const { help, list, json, only } = optionsOf('npm run compatibility', args, {
    help: { type: 'boolean', short: 'h', default: false },
    list: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
  })
  return { help, list, json, only: partsOf(only) }
}
