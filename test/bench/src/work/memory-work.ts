import { createDecider } from '@postern/access'
import { POPULATION, type Population } from '../stacks/population.ts'
import { knownOf } from './population-snapshot.ts'

/** What everything that there is takes in the memory of each gateway, and of the session service. */
export type MemoryWork = {
  /** With one token. */
  readonly userBytes: number
  readonly grantBytes: number
  readonly clusterBytes: number
  /** What is kept of the grants of a user on a cluster, while he is there. */
  readonly compiledBytes: number
}

const MANY = 10_000
const PAIRS = 8_000
const EXPIRES_AT = '2100-01-01T00:00:00Z'

/** Needs `--expose-gc`. */
export function measureMemory(): MemoryWork {
  const one = { ...POPULATION, users: 1, grants: POPULATION.groups, clusters: 2 }
  const more = (what: Partial<Population>) => grownBy({ ...one, ...what }) - grownBy(one)
  return {
    userBytes: more({ users: MANY }) / MANY,
    grantBytes: more({ grants: MANY }) / MANY,
    clusterBytes: more({ clusters: MANY }) / MANY,
    compiledBytes: compiledBytes(),
  }
}

function grownBy(of: Population): number {
  return heldBy(() => knownOf(of, EXPIRES_AT))
}

function compiledBytes(): number {
  const { snapshot } = knownOf(POPULATION, EXPIRES_AT)
  const users = [...snapshot.users.keys()]
  const clusters = [...snapshot.clusters.keys()]
  const all = heldBy(() => {
    const decider = createDecider()
    for (let n = 0; n < PAIRS; n += 1) {
      const clusterId = clusters[Math.floor(n / users.length) % clusters.length] ?? ''
      decider.compiled(snapshot, { userId: users[n % users.length] ?? '', clusterId })
    }
    return decider
  })
  return all / PAIRS
}

function heldBy(make: () => object): number {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('memory is measured with --expose-gc')
  gc()
  const before = process.memoryUsage().heapUsed
  const made = make()
  gc()
  const after = process.memoryUsage().heapUsed
  // Reachable until here, or there would be nothing to measure.
  if (Object.keys(made).length === 0) throw new Error('nothing was made')
  return after - before
}
