import type { Attributes } from './attributes.ts'
import { type CompiledAccess, compile } from './compile.ts'
import { decideCompiled } from './decide.ts'
import type { Decision, Requester } from './decision.ts'
import type { Snapshot } from './snapshot.ts'

export type Decider = {
  decide(snapshot: Snapshot, requester: Requester, asked: Attributes, at: Date): Decision
  compiled(snapshot: Snapshot, requester: Requester): CompiledAccess
}

/**
 * Decides many requests on few snapshots: what it compiled stays until its snapshot is replaced by
 * another object, at most `entriesMax` pairs of user and cluster at a time.
 */
export function createDecider({ entriesMax = 10_000 }: { entriesMax?: number } = {}): Decider {
  let current: Snapshot | undefined
  let entries = 0
  const byUser = new Map<string, Map<string, CompiledAccess>>()

  const startAnew = () => {
    byUser.clear()
    entries = 0
  }

  const compiled = (snapshot: Snapshot, requester: Requester): CompiledAccess => {
    const { userId, clusterId } = requester
    if (snapshot !== current) {
      current = snapshot
      startAnew()
    }
    const known = byUser.get(userId)?.get(clusterId)
    if (known !== undefined) return known
    if (entries >= entriesMax) startAnew()
    const access = compile(snapshot, requester)
    const byCluster = byUser.get(userId) ?? new Map<string, CompiledAccess>()
    byUser.set(userId, byCluster.set(clusterId, access))
    entries++
    return access
  }

  return {
    compiled,
    decide: (snapshot, requester, asked, at) =>
      decideCompiled(compiled(snapshot, requester), asked, at),
  }
}
