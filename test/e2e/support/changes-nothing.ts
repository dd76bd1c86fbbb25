import { type ClusterAuditEvent, isByAgent, readClusterAuditLog } from '@postern/bootstrap'
import { expect } from 'vitest'
import { query } from './database.ts'
import { CLUSTER, type E2eWorld } from './e2e-world.ts'

const LOGS = ['identity', 'policy', 'session', 'tunnel_broker', 'audit'] as const
/** What the agent's own rounds do without being told to. */
const READS = ['get', 'list', 'watch']
const SELF_TEST = 'selfsubjectaccessreviews'

/** Where each log of the platform ends. */
export async function logHeads(world: E2eWorld): Promise<Record<string, string>> {
  const selects = LOGS.map((log) => `select '${log}' as log, pos::text from ${log}.head`)
  const rows = await query<{ log: string; pos: string }>(world, selects.join(' union all '))
  return Object.fromEntries(rows.map(({ log, pos }) => [log, pos]))
}

/** What anybody did in the cluster through Postern: all that accounts did, and what the agent changed. */
export function doneInCluster(world: E2eWorld): ClusterAuditEvent[] {
  return readClusterAuditLog(world.cluster(CLUSTER)).filter(
    (event) =>
      event.user.username.startsWith('system:serviceaccount:postern-jit:') ||
      (isByAgent(event) && !READS.includes(event.verb) && event.objectRef?.resource !== SELF_TEST),
  )
}

/** Does the work, and expects that no log of any service grew and that nothing reached the cluster. */
export async function changesNothing<T>(world: E2eWorld, work: () => Promise<T>): Promise<T> {
  const heads = await logHeads(world)
  const done = doneInCluster(world).length
  const result = await work()
  expect(await logHeads(world)).toEqual(heads)
  expect(doneInCluster(world).slice(done)).toEqual([])
  return result
}
