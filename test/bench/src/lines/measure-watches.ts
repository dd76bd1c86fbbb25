import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { residentMemory } from '@postern/bootstrap'
import { type Measured, parseLoadAnswer, toMeasured } from '../load/measured.ts'
import { checked, type LoadWorld, spawnLoad, untilLoadEnds } from '../load/run-load.ts'
import type { Measurement } from '../plan.ts'
import type { OpenStacks } from '../stacks/open-stacks.ts'
import type { Stack, StackName } from '../stacks/stack.ts'
import { slopeOf, sumOf } from '../statistics.ts'
import type { WatchLine } from './watch-lines.ts'

/** One run of one line on one stack, on processes that were new. */
export type WatchRun = {
  readonly line: string
  readonly stack: StackName
  readonly round: number
  /** Resident memory of each hop with so many watches. */
  readonly points: readonly {
    readonly watches: number
    readonly bytes: Readonly<Record<string, number>>
  }[]
  /** How much each hop grows with one more watch: the slope over all points. */
  readonly bytesPerWatch: Readonly<Record<string, number>>
  readonly watches: number
  /** How long one of 20 events takes to a watch, and to the last of them: half of the times. */
  readonly eventP50Micros: number
  readonly eventAllP50Micros: number
  /** CPU of all hops for one event on one watch. */
  readonly eventHopMicros: number
  readonly foreignShare: number
}

const PATH = '/api/v1/namespaces/bench/pods?watch=1'
const STEPS = 5
/** Until what was only needed to open them is given back. */
const SETTLE_MS = 1_000
const SECONDS_EXPECTED = 22
const QUICK = 5
const KIB = 1024

export function planWatches(
  world: LoadWorld,
  order: {
    lines: readonly WatchLine[]
    stacks: OpenStacks
    rounds: number
    quick: boolean
    into: WatchRun[]
  },
): Measurement[] {
  const { stacks, rounds, quick, into } = order
  return order.lines.flatMap((line) => {
    const measured = stacks.names.filter((name) => line.stacks.includes(name))
    return Array.from({ length: rounds }, (_, at) => at + 1).flatMap((round) =>
      measured.map((name) => ({
        name: `${line.id} ${round}/${rounds} ${name}`,
        secondsExpected: quick ? SECONDS_EXPECTED / 2 : SECONDS_EXPECTED,
        async run() {
          const conns = quick ? line.conns / QUICK : line.conns
          const stack = await stacks.renew(name, 'raised')
          const found = await measureWatches(world, stack, { ...line, conns })
          const run: WatchRun = { line: line.id, stack: name, round, ...found }
          into.push(run)
          return inShort(run)
        },
      })),
    )
  })
}

async function measureWatches(
  world: LoadWorld,
  stack: Stack,
  { h2, conns, streams }: Pick<WatchLine, 'h2' | 'conns' | 'streams'>,
): Promise<Omit<WatchRun, 'line' | 'stack' | 'round'>> {
  const { control } = world.upstream
  const load = { mode: 'watch', path: PATH, h2, conns, streams, steps: STEPS, control } as const
  const points = [{ watches: 0, bytes: memoryOf(stack) }]
  const child = spawnLoad(world, stack, load)
  const ended = untilLoadEnds(child)
  // Looked at where it is awaited; until then it is not unhandled.
  ended.catch(() => undefined)
  let answer = ''
  for await (const line of createInterface({ input: child.stdout })) {
    const { opened }: { opened?: number } = JSON.parse(line)
    if (points.length > STEPS || opened === undefined) {
      answer = line
      break
    }
    await setTimeout(SETTLE_MS)
    points.push({ watches: opened, bytes: memoryOf(stack) })
    child.stdin.write('\n')
  }
  await ended
  const raw = checked(stack, parseLoadAnswer(answer))
  const measured: Measured = toMeasured(raw, stack)
  return {
    points,
    bytesPerWatch: slopes(points),
    watches: conns * streams,
    eventP50Micros: measured.p50Micros,
    eventAllP50Micros: raw.allP50,
    eventHopMicros: measured.hopMicros,
    foreignShare: measured.foreignShare,
  }
}

function memoryOf({ hops }: Stack): Record<string, number> {
  const bytes: Record<string, number> = {}
  for (const { name, pid } of hops) bytes[name] = (bytes[name] ?? 0) + residentMemory(pid)
  return bytes
}

function slopes(points: WatchRun['points']): Record<string, number> {
  const names = Object.keys(points[0]?.bytes ?? {})
  return Object.fromEntries(
    names.map((name) => [
      name,
      slopeOf(points.map(({ watches, bytes }) => [watches, bytes[name] ?? 0])),
    ]),
  )
}

function inShort({ bytesPerWatch, eventP50Micros, eventHopMicros }: WatchRun): string {
  const hops = Object.entries(bytesPerWatch).map(
    ([name, bytes]) => `${name} ${(bytes / KIB).toFixed(1)}`,
  )
  const sum = sumOf(Object.values(bytesPerWatch)) / KIB
  const event = `events p50 ${(eventP50Micros / 1000).toFixed(0)} ms, ${eventHopMicros.toFixed(0)} us of hops`
  return `${sum.toFixed(1)} KiB a watch (${hops.join(', ')}), ${event}`
}
