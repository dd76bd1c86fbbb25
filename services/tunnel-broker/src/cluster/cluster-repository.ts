import type { Actor, EventStore } from '@postern/eventing'
import { isId } from '@postern/ids'
import type { Kysely } from 'kysely'
import type { TunnelBrokerDatabase } from '../database.ts'
import type { TunnelBrokerEvent } from '../tunnel-broker-codec.ts'
import { type ClusterCommand, cluster, clusterRejected } from './cluster.ts'

export type ClusterRow = {
  readonly clusterId: string
  readonly name: string
  readonly labels: Record<string, string>
  readonly installLevel: number
}

export type ClusterRepository = ReturnType<typeof createClusterRepository>

export function createClusterRepository(needs: {
  db: Kysely<TunnelBrokerDatabase>
  store: EventStore<TunnelBrokerDatabase, TunnelBrokerEvent>
}) {
  const { db, store } = needs
  const clusters = () =>
    db
      .selectFrom('clusters')
      .select(['cluster_id', 'name', 'labels', 'install_level'])
      .where('removed', '=', false)

  return {
    /** Answers the position of the cluster's last event. @throws Rejection */
    async execute(clusterId: string, command: ClusterCommand, actor: Actor): Promise<bigint> {
      const stream = `cluster-${clusterId}`
      const { pos } = await store.execute({ stream, decider: cluster, command, actor })
      return pos
    },

    /** By id or name. @throws Rejection CLUSTER_NOT_FOUND */
    async get(reference: string): Promise<ClusterRow> {
      const column = isId(reference) ? 'cluster_id' : 'name'
      const row = await clusters().where(column, '=', reference).executeTakeFirst()
      if (row === undefined) throw clusterRejected('CLUSTER_NOT_FOUND')
      return toClusterRow(row)
    },

    /** By name, after a name. `ids` narrows to these. */
    async list(options: {
      after: string
      limit: number
      ids: readonly string[] | undefined
    }): Promise<ClusterRow[]> {
      if (options.ids?.length === 0) return []
      let query = clusters().where('name', '>', options.after)
      if (options.ids !== undefined) query = query.where('cluster_id', 'in', options.ids)
      const rows = await query.orderBy('name').limit(options.limit).execute()
      return rows.map(toClusterRow)
    },
  }
}

function toClusterRow(row: {
  cluster_id: string
  name: string
  labels: unknown
  install_level: number
}): ClusterRow {
  const { cluster_id: clusterId, name, install_level: installLevel } = row
  return { clusterId, name, labels: parseLabels(row.labels), installLevel }
}

function parseLabels(value: unknown): Record<string, string> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the projection wrote it from an event
  return value as Record<string, string>
}
