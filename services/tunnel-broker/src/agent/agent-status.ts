import type { Kysely } from 'kysely'
import type { TunnelBrokerDatabase } from '../database.ts'

export type AgentStatus = {
  readonly agentId: string
  readonly clusterId: string
  readonly version: string
  readonly kubernetesVersion: string
  readonly problems: readonly string[]
  /** `undefined` for an agent that has joined and not reported yet. */
  readonly lastSeenAt: Date | undefined
}

const ONLINE_SECONDS = 30

export type Reachability = 'pending' | 'online' | 'offline'

/** A cluster is online while one of its agents has reported lately. */
export function reachability(agents: readonly AgentStatus[], now: Date): Reachability {
  if (agents.length === 0) return 'pending'
  const since = now.getTime() - ONLINE_SECONDS * 1000
  const isOnline = agents.some(({ lastSeenAt }) => (lastSeenAt?.getTime() ?? 0) > since)
  return isOnline ? 'online' : 'offline'
}

export type AgentStatusStore = ReturnType<typeof createAgentStatusStore>

/** What agents last said of themselves. High-rate facts: not events. */
export function createAgentStatusStore({ db }: { db: Kysely<TunnelBrokerDatabase> }) {
  return {
    async note(status: Omit<AgentStatus, 'clusterId' | 'lastSeenAt'>, now: Date): Promise<void> {
      const seen = {
        version: status.version,
        kubernetes_version: status.kubernetesVersion,
        problems: JSON.stringify(status.problems),
        last_seen_at: now,
      }
      await db
        .insertInto('agent_status')
        .values({ agent_id: status.agentId, ...seen })
        .onConflict((conflict) => conflict.column('agent_id').doUpdateSet(seen))
        .execute()
    },

    /** Agents of a cluster whose certificates have ended by a moment: nobody heard of them for as long. */
    async goneSince(clusterId: string, before: Date): Promise<string[]> {
      const rows = await db
        .selectFrom('agents')
        .leftJoin('agent_status', 'agent_status.agent_id', 'agents.agent_id')
        .select(['agents.agent_id', 'joined_at', 'last_seen_at'])
        .where('cluster_id', '=', clusterId)
        .execute()
      return rows
        .filter(({ joined_at, last_seen_at }) => (last_seen_at ?? new Date(joined_at)) < before)
        .map((row) => row.agent_id)
    },

    /** Forgets what agents said that are no agents any more. */
    async forget(): Promise<void> {
      await db
        .deleteFrom('agent_status')
        .where('agent_id', 'not in', (present) => present.selectFrom('agents').select('agent_id'))
        .execute()
    },

    async isAgentOf(agentId: string, clusterId: string): Promise<boolean> {
      const row = await db
        .selectFrom('agents')
        .select('agent_id')
        .where('agent_id', '=', agentId)
        .where('cluster_id', '=', clusterId)
        .executeTakeFirst()
      return row !== undefined
    },

    async ofClusters(clusterIds: readonly string[]): Promise<ReadonlyMap<string, AgentStatus[]>> {
      if (clusterIds.length === 0) return new Map()
      const rows = await db
        .selectFrom('agents')
        .leftJoin('agent_status', 'agent_status.agent_id', 'agents.agent_id')
        .select(['agents.agent_id', 'cluster_id', 'version', 'kubernetes_version', 'problems'])
        .select('last_seen_at')
        .where('cluster_id', 'in', clusterIds)
        .orderBy('joined_at')
        .execute()
      const statuses = rows.map((row) => ({
        agentId: row.agent_id,
        clusterId: row.cluster_id,
        version: row.version ?? '',
        kubernetesVersion: row.kubernetes_version ?? '',
        problems: parseProblems(row.problems),
        lastSeenAt: row.last_seen_at ?? undefined,
      }))
      return new Map(
        clusterIds.map((id) => [id, statuses.filter(({ clusterId }) => clusterId === id)]),
      )
    },
  }
}

function parseProblems(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : []
}
