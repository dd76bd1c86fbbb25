import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { residentMemory } from '@postern/bootstrap'
import { type LoadAnswer, parseLoadAnswer } from '../load/measured.ts'
import { answerOf, type Load, spawnLoad } from '../load/run-load.ts'
import type { Measurement } from '../plan.ts'
import type { BenchWorld } from '../stacks/bench-world.ts'
import type { OpenStacks } from '../stacks/open-stacks.ts'
import type { Stack } from '../stacks/stack.ts'
import { type Neighbour, OTHERS } from './neighbours.ts'

type ByHop = Readonly<Record<string, number>>

/** What one user did to the others, with the limits of a user as they ship. */
export type NeighbourRun = {
  readonly neighbour: string
  readonly round: number
  /** The others alone, and beside that user. */
  readonly before: { readonly p50Micros: number; readonly p99Micros: number }
  readonly during: { readonly p50Micros: number; readonly p99Micros: number }
  readonly factor: number
  readonly bytesBefore: ByHop
  /** The most that was seen. */
  readonly bytesDuring: ByHop
  /** Some seconds after that user has gone. */
  readonly bytesAfter: ByHop
  /** Of a flood: the answers by status, and how many of the refusals say when to come again. */
  readonly statuses: Readonly<Record<string, number>>
  readonly retryAfter: number
}

const BEGIN_MS = 500
const LOOK_MS = 100
const AFTER_MS = 2_000
const SECONDS_EXPECTED = 14
const RENEW_SECONDS = 15
const QUICK = 2

type Order = {
  readonly stacks: OpenStacks
  readonly lines: readonly Neighbour[]
  readonly rounds: number
  readonly quick: boolean
  readonly into: NeighbourRun[]
}

export function planNeighbours(world: BenchWorld, order: Order): Measurement[] {
  const { stacks, lines, rounds, quick, into } = order
  if (lines.length === 0) return []
  const others = quick ? { ...OTHERS, seconds: (OTHERS.seconds ?? 0) / QUICK } : OTHERS
  const renewal: Measurement = {
    name: 'neighbours: limits as they ship',
    secondsExpected: RENEW_SECONDS,
    async run() {
      await stacks.renew('postern', 'shipped')
      return 'ready'
    },
  }
  const runs = Array.from({ length: rounds }, (_, at) => at + 1).flatMap((round) =>
    lines.map((neighbour) => ({
      name: `${neighbour.id} ${round}/${rounds}`,
      secondsExpected: SECONDS_EXPECTED,
      async run() {
        const found = await measureNeighbour(world, stacks.get('postern'), { neighbour, others })
        into.push({ neighbour: neighbour.id, round, ...found })
        return inShort(found)
      },
    })),
  )
  return [renewal, ...runs]
}

type Found = Omit<NeighbourRun, 'neighbour' | 'round'>

async function measureNeighbour(
  world: BenchWorld,
  stack: Stack,
  { neighbour, others }: { neighbour: Neighbour; others: Load },
): Promise<Found> {
  const tokens = tokenFiles(world, stack)
  const steadily = { ...others, tokens: tokens.ofOthers }
  const before = await answerOf(world, stack, steadily)
  const bytesBefore = memoryOf(stack)
  const noise = keepBusy(world, stack, { ...neighbour.load, tokens: tokens.ofOne })
  let during: LoadAnswer
  let bytesDuring: ByHop = bytesBefore
  const looking = setInterval(() => {
    bytesDuring = larger(bytesDuring, memoryOf(stack))
  }, LOOK_MS)
  try {
    await setTimeout(BEGIN_MS)
    during = await answerOf(world, stack, steadily)
  } finally {
    clearInterval(looking)
    await noise.stop()
  }
  await setTimeout(AFTER_MS)
  const { statuses, retryAfter } = noise.sum()
  return {
    before: { p50Micros: before.p50, p99Micros: before.p99 },
    during: { p50Micros: during.p50, p99Micros: during.p99 },
    factor: during.p99 / before.p99,
    bytesBefore,
    bytesDuring,
    bytesAfter: memoryOf(stack),
    statuses,
    retryAfter,
  }
}

/** Begins anew whenever it ends, until it is stopped. */
function keepBusy(world: BenchWorld, stack: Stack, load: Load) {
  let isStopping = false
  let child: ChildProcessWithoutNullStreams | undefined
  const statuses: Record<string, number> = {}
  let retryAfter = 0

  async function again(): Promise<void> {
    while (!isStopping) {
      child = spawnLoad(world, stack, load)
      const [out, error] = await Promise.all([text(child.stdout), text(child.stderr)])
      if (isStopping && out === '') return
      if (out === '') throw new Error(`the neighbour failed: ${error.trim()}`)
      const answer = parseLoadAnswer(out)
      for (const [status, count] of Object.entries(answer.statuses)) {
        statuses[status] = (statuses[status] ?? 0) + count
      }
      retryAfter += answer.retryAfter
    }
  }

  const running = again()
  // Looked at when it is stopped; until then it is not unhandled.
  running.catch(() => undefined)
  return {
    sum: () => ({ statuses, retryAfter }),
    /** @throws Error when it could not do what it was to do */
    async stop(): Promise<void> {
      isStopping = true
      // What a flood was answered is wanted; it ends by itself.
      if (load.mode !== 'flood') child?.kill('SIGKILL')
      await running
    },
  }
}

/** One user is apart from all others. */
function tokenFiles({ dir }: BenchWorld, { tokensFile }: Stack) {
  if (tokensFile === undefined) throw new Error('only Postern knows users')
  const [one = '', ...others] = readFileSync(tokensFile, 'utf8').split('\n')
  const [ofOne, ofOthers] = [join(dir, 'token-of-one'), join(dir, 'tokens-of-others')]
  writeFileSync(ofOne, one, { mode: 0o600 })
  writeFileSync(ofOthers, others.join('\n'), { mode: 0o600 })
  return { ofOne, ofOthers }
}

function memoryOf({ hops }: Stack): ByHop {
  return Object.fromEntries(hops.map(({ name, pid }) => [name, residentMemory(pid)]))
}

function larger(one: ByHop, other: ByHop): ByHop {
  return Object.fromEntries(
    Object.entries(one).map(([name, bytes]) => [name, Math.max(bytes, other[name] ?? 0)]),
  )
}

function inShort({ before, during, factor, statuses, retryAfter }: Found): string {
  const ms = (micros: number) => (micros / 1000).toFixed(2)
  const counts = Object.entries(statuses).map(([status, count]) => `${count} x ${status}`)
  const answers = counts.length === 0 ? '' : `; ${counts.join(', ')}, ${retryAfter} Retry-After`
  const p99 = `p99 ${ms(before.p99Micros)} to ${ms(during.p99Micros)} ms`
  return `${p99}, ${factor.toFixed(1)} times${answers}`
}
