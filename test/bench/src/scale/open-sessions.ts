import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import type { ApiClient } from '@postern/bootstrap'
import { parseLoadAnswer, toMeasured } from '../load/measured.ts'
import { checked, spawnLoad, untilLoadEnds } from '../load/run-load.ts'
import type { BenchWorld } from '../stacks/bench-world.ts'
import type { Stack } from '../stacks/stack.ts'
import type { Fleet } from './fleet.ts'
import type { Look } from './look.ts'
import { lookWhileOpen } from './look-while-open.ts'
import type { Point, ScaleRun } from './scale-run.ts'

/** Watches of a user on a cluster, on one connection. */
export const STREAMS = 2
const USERS_A_STEP = 5
/** Beside the connections of clients a process has few files open. */
const FILES_FOR_OTHERS = 2_000
const SETTLE_MS = 2_000
const PATH = '/api/v1/namespaces/bench/pods?watch=1'
const LOAD_MS_MAX = 2 * 3_600_000

type Opened = Pick<
  ScaleRun,
  | 'opening'
  | 'sessionsPerSecond'
  | 'idleShare'
  | 'changeMicros'
  | 'eventP50Micros'
  | 'eventAllP50Micros'
  | 'eventHopMicros'
  | 'endedBy'
>

/** Lets users begin to watch on all clusters, some users at a time, until it is time or there is no room. */
export async function openSessions(
  world: BenchWorld,
  order: {
    stack: Stack
    fleet: Fleet
    look: Look
    api: ApiClient
    clusters: number
    users: number
    tokensFile: string
    openFilesMax: number
    /** How long new ones are begun with. */
    seconds: number
  },
): Promise<Opened> {
  const { stack, fleet, look, api, clusters, users, tokensFile, openFilesMax, seconds } = order
  const usersMax = Math.min(users, Math.floor((openFilesMax - FILES_FOR_OTHERS) / clusters))
  const steps = Math.max(1, Math.floor(usersMax / USERS_A_STEP))
  const conns = steps * USERS_A_STEP * clusters
  const child = spawnLoad(
    world,
    { ...stack, prefix: '', tokensFile },
    {
      mode: 'watch',
      path: PATH,
      h2: true,
      conns,
      streams: STREAMS,
      steps,
      clusters,
      control: fleet.control,
    },
    LOAD_MS_MAX,
  )
  const ended = untilLoadEnds(child)
  // Looked at where it is awaited; until then it is not unhandled.
  ended.catch(() => undefined)
  const opening: Point[] = [look(clusters, 0)]
  const began = performance.now()
  let endedBy = usersMax < users ? `${openFilesMax} open files` : 'everything is open'
  let tookSeconds = 0
  let quiet: Pick<Opened, 'idleShare' | 'changeMicros'> = { idleShare: {}, changeMicros: {} }
  let answer = ''
  for await (const line of createInterface({ input: child.stdout })) {
    const { opened, requests }: { opened?: number; requests?: number } = JSON.parse(line)
    if (requests !== undefined || opened === undefined) {
      answer = line
      break
    }
    tookSeconds = (performance.now() - began) / 1000 - (opening.length - 1) * (SETTLE_MS / 1000)
    await setTimeout(SETTLE_MS)
    opening.push(look(clusters, opened / STREAMS))
    const isLate = performance.now() - began > seconds * 1000
    if (isLate && opening.length <= steps) endedBy = `${seconds} s`
    if (isLate || opening.length > steps) quiet = await lookWhileOpen(api, look)
    child.stdin.write(isLate ? 'enough\n' : '\n')
  }
  await ended
  const raw = checked(stack, parseLoadAnswer(answer))
  return {
    opening,
    endedBy,
    sessionsPerSecond: (opening.at(-1)?.sessions ?? 0) / tookSeconds,
    ...quiet,
    eventP50Micros: raw.p50,
    eventAllP50Micros: raw.allP50,
    eventHopMicros: toMeasured(raw, stack).hopMicros,
  }
}
