import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { ApiClient } from '@postern/bootstrap'
import type { Measurement } from '../plan.ts'
import type { BenchWorld } from '../stacks/bench-world.ts'
import type { OpenStacks } from '../stacks/open-stacks.ts'
import { type Population, tokensFor } from '../stacks/population.ts'
import type { Part } from '../stacks/stack.ts'
import { startFleet } from './fleet.ts'
import { growth, lookAt, scaled } from './look.ts'
import { lookWhileIdle } from './look-while-open.ts'
import { openSessions, STREAMS } from './open-sessions.ts'
import type { Point, ScaleRun } from './scale-run.ts'

const JOINING_STEPS = 3
const SETTLE_MS = 2_000
/** For the platform anew, tokens of all users, and joining. */
const SECONDS_BEFORE = 85

type Order = {
  readonly stacks: OpenStacks
  readonly population: Population
  readonly openFilesMax: number
  /** How long sessions are opened for. */
  readonly seconds: number
  readonly into: ScaleRun[]
}

export function planScale(world: BenchWorld, order: Order): Measurement[] {
  const run = async () => {
    const measured = await measureScale(world, order)
    order.into.push(measured)
    const { clusters, opening, endedBy } = measured
    const sessions = opening.at(-1)?.sessions ?? 0
    return `${clusters} clusters, ${sessions} sessions, ${sessions * STREAMS} watches (${endedBy})`
  }
  return [{ name: 'scale', secondsExpected: order.seconds + SECONDS_BEFORE, run }]
}

async function measureScale(world: BenchWorld, order: Order): Promise<ScaleRun> {
  const stack = await order.stacks.renew('postern', 'raised')
  const { api } = stack
  if (api === undefined) throw new Error('the scale is that of Postern')
  const { users, clusters: all, groups } = order.population
  const clusters = all - 1
  const tokensFile = join(world.dir, 'tokens-of-all')
  writeFileSync(tokensFile, (await tokensFor(api, users)).join('\n'), { mode: 0o600 })
  for (let n = 0; n < groups; n += 1) await allowAll(api, n)

  const fleet = await startFleet(world, api)
  const agents: Part[] = []
  const look = lookAt(stack, fleet, agents)
  const idleEmpty = await lookWhileIdle(look)
  const joining: Point[] = [look(0, 0)]
  for (let step = 1; step <= JOINING_STEPS; step += 1) {
    const [from, until] = [step - 1, step].map((at) => Math.round((clusters * at) / JOINING_STEPS))
    if (from === undefined || until === undefined) break
    agents.push(await fleet.join(from, until))
    await setTimeout(SETTLE_MS)
    joining.push(look(until, 0))
  }
  const idleJoined = await lookWhileIdle(look)
  const opened = await openSessions(world, {
    stack,
    fleet,
    look,
    api,
    clusters,
    users,
    tokensFile,
    openFilesMax: order.openFilesMax,
    seconds: order.seconds,
  })
  const { opening } = opened
  return {
    users,
    clusters,
    watchesPerSession: STREAMS,
    joining,
    idleEmpty,
    idleJoined,
    bytesPerCluster: growth(joining, 'clusters', 'bytes'),
    bytesPerSession: growth(opening, 'sessions', 'bytes'),
    cpuMicrosPerSession: scaled(growth(opening, 'sessions', 'cpuSeconds'), 1e6),
    ...opened,
  }
}

async function allowAll(api: ApiClient, group: number): Promise<void> {
  await api.call('POST', '/v1/grants', {
    name: `fleet-${group}`,
    terms: {
      subjects: [`group:group-${group}`],
      role: 'role-0',
      clusterSelector: { matchLabels: { fleet: 'bench' } },
      namespaces: { names: ['bench'] },
    },
  })
}
