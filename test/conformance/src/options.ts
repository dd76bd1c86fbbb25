import { optionsOf, partsOf, UsageError } from '@postern/bootstrap'

/** What a person asked for on the command line. */
export type Options = {
  readonly help: boolean
  readonly list: boolean
  readonly json: boolean
  /** Ids, or beginnings of ids; all when empty. */
  readonly only: readonly string[]
  /** Files to run instead of what is built in; "-" is standard input. */
  readonly vectors: readonly string[]
  readonly cases: readonly string[]
  /** How many generated requests are compared with the cluster's audit log. */
  readonly requests: number
  /** How many generated requests claim to be somebody else's. */
  readonly forged: number
  readonly seed: number
  /** How long streams on which nothing happens have to stay. */
  readonly idleSeconds: number
}

export const REQUESTS = 2_000
export const FORGED = 1_000
export const IDLE_SECONDS = 5
const COUNT_MAX = 10_000_000

export const HELP = `npm run conformance -- [options]

Runs every conformance case: the rules of docs/kubernetes-compatibility.md, tried through a real gateway, relay
and agent, in front of a real kube-apiserver and of one that records. Says "N passed, M failed"; exits with 1
when one failed, with 2 when it was not understood.

  --vectors FILE    run this file of RequestInfo vectors instead (one JSON object a line; - is standard input)
  --cases FILE      run this file of cases instead, as test/conformance/cases.jsonl is one; may be repeated
  --only ID         run what has this id, or begins with it: --only PN-05, --only HH-; may be repeated
  --requests N      compare N generated requests with the cluster's own audit log (${REQUESTS} by default)
  --forged N        send N generated requests that claim another identity (${FORGED} by default)
  --idle SECONDS    how long streams on which nothing happens have to stay (${IDLE_SECONDS} by default)
  --seed N          of everything that is generated; the one that is printed generates the same again
  --list            say what there is, and run nothing
  --json            one JSON object at the end instead of lines (npm run --silent conformance -- --json)
  --help            this

Ctrl-C stops everything in order, a second one ends at once.
`

/** @throws UsageError */
export function parseOptions(args: readonly string[], randomSeed: number): Options {
  const values = optionsOf('npm run conformance', args, {
    help: { type: 'boolean', short: 'h', default: false },
    list: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    vectors: { type: 'string', multiple: true, default: [] },
    cases: { type: 'string', multiple: true, default: [] },
    requests: { type: 'string' },
    forged: { type: 'string' },
    idle: { type: 'string' },
    seed: { type: 'string' },
  })
  const { help, list, json, only, vectors, cases } = values
  return {
    help,
    list,
    json,
    only: partsOf(only),
    vectors,
    cases,
    requests: count('requests', values.requests, REQUESTS),
    forged: count('forged', values.forged, FORGED),
    idleSeconds: count('idle', values.idle, IDLE_SECONDS, 24 * 3600),
    seed: count('seed', values.seed, randomSeed, 0x7fffffff),
  }
}

function count(name: string, text: string | undefined, otherwise: number, max = COUNT_MAX): number {
  if (text === undefined) return otherwise
  const number = Number(text)
  if (/^\d+$/.test(text) && number <= max) return number
  throw new UsageError(`--${name} must be a whole number from 0 to ${max}, not "${text}"`)
}
