import type { Projection } from '@postern/eventing'
import type { TunnelBrokerDatabase } from '../database.ts'
import type { TunnelBrokerEvent } from '../tunnel-broker-codec.ts'
import { clusterRejected } from './cluster.ts'

/** Clusters by unique name, with their agents and namespaces. */
export const clustersProjection: Projection<TunnelBrokerDatabase, TunnelBrokerEvent> = {
  name: 'clusters',
  version: 1,
  tables: ['clusters', 'agents', 'namespaces'],
  conflicts: { clusters_name: () => clusterRejected('CLUSTER_EXISTS') },

  async apply(db, { event, at }) {
    switch (event.type) {
      case 'ClusterRegistered': {
        const { clusterId: cluster_id, name, installLevel: install_level } = event
        const labels = JSON.stringify(event.labels)
        const row = { cluster_id, name, labels, install_level, removed: false }
        await db.insertInto('clusters').values(row).execute()
        return
      }
      case 'ClusterLabelsChanged':
        await db
          .updateTable('clusters')
          .set({ labels: JSON.stringify(event.labels) })
          .where('cluster_id', '=', event.clusterId)
          .execute()
        return
      case 'ClusterRemoved':
        await db
          .updateTable('clusters')
          .set({ removed: true })
          .where('cluster_id', '=', event.clusterId)
          .execute()
        await db.deleteFrom('agents').where('cluster_id', '=', event.clusterId).execute()
        await db.deleteFrom('namespaces').where('cluster_id', '=', event.clusterId).execute()
        return
      case 'AgentJoined': {
        const row = { agent_id: event.agentId, cluster_id: event.clusterId, joined_at: at }
        await db.insertInto('agents').values(row).execute()
        return
      }
      case 'AgentRemoved':
        await db.deleteFrom('agents').where('agent_id', '=', event.agentId).execute()
        return
      case 'NamespaceObserved': {
        const labels = JSON.stringify(event.labels)
        const row = { cluster_id: event.clusterId, name: event.name, labels }
        await db
          .insertInto('namespaces')
          .values(row)
          .onConflict((conflict) =>
            conflict.columns(['cluster_id', 'name']).doUpdateSet({ labels }),
          )
          .execute()
        return
      }
      case 'NamespaceGone':
        await db
          .deleteFrom('namespaces')
          .where('cluster_id', '=', event.clusterId)
          .where('name', '=', event.name)
          .execute()
        return
      case 'JoinTokenIssued':
      case 'JoinTokenRedeemed':
      case 'RelayRegistered':
    }
  },
}
