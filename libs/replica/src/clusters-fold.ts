import type { Cluster, InstallLevel, Labels } from '@postern/access'
import { InstallLevel as ProtoLevel } from '@postern/proto/postern/tunnelbroker/events/v1/events'
import { type DraftMap, draftMap } from './draft-map.ts'
import type { TunnelBrokerEvent } from './tunnel-broker-codec.ts'

/** What tunnel-broker's log says about clusters, what is in them, and their agents. */
export type ClustersState = {
  readonly clusters: ReadonlyMap<string, Cluster>
  readonly clusterIdByName: ReadonlyMap<string, string>
  /** Agents that may speak for their cluster, by id; the value is the cluster's id. */
  readonly clusterIdByAgent: ReadonlyMap<string, string>
}

export const NO_CLUSTERS: ClustersState = {
  clusters: new Map(),
  clusterIdByName: new Map(),
  clusterIdByAgent: new Map(),
}

/** Pure; the same however the log is cut into batches. */
export function foldClusters(
  state: ClustersState,
  batch: readonly { readonly event: TunnelBrokerEvent }[],
): ClustersState {
  const draft: Draft = {
    clusters: draftMap(state.clusters),
    clusterIdByName: draftMap(state.clusterIdByName),
    clusterIdByAgent: draftMap(state.clusterIdByAgent),
    namespaces: new Map(),
  }
  for (const { event } of batch) apply(draft, event)
  for (const [clusterId, namespaces] of draft.namespaces) {
    change(draft.clusters, clusterId, (cluster) => ({ ...cluster, namespaces: namespaces.done() }))
  }
  return {
    clusters: draft.clusters.done(),
    clusterIdByName: draft.clusterIdByName.done(),
    clusterIdByAgent: draft.clusterIdByAgent.done(),
  }
}

type Draft = {
  clusters: DraftMap<Cluster>
  clusterIdByName: DraftMap<string>
  clusterIdByAgent: DraftMap<string>
  /** Of clusters whose namespaces this batch changed; their `Cluster` has the old ones meanwhile. */
  namespaces: Map<string, DraftMap<Labels>>
}

function apply(draft: Draft, event: TunnelBrokerEvent): void {
  const { clusters, clusterIdByName, clusterIdByAgent } = draft
  switch (event.type) {
    case 'ClusterRegistered': {
      const { clusterId: id, name, labels } = event
      const installLevel = toInstallLevel(event.installLevel)
      clusters.set(id, { id, name, labels, installLevel, namespaces: new Map() })
      clusterIdByName.set(name, id)
      draft.namespaces.delete(id)
      return
    }
    case 'ClusterLabelsChanged':
      change(clusters, event.clusterId, (cluster) => ({ ...cluster, labels: event.labels }))
      return
    case 'ClusterRemoved': {
      const name = clusters.get(event.clusterId)?.name
      if (name !== undefined && clusterIdByName.get(name) === event.clusterId) {
        clusterIdByName.delete(name)
      }
      clusters.delete(event.clusterId)
      draft.namespaces.delete(event.clusterId)
      for (const [agentId, clusterId] of clusterIdByAgent.done()) {
        if (clusterId === event.clusterId) clusterIdByAgent.delete(agentId)
      }
      return
    }
    case 'NamespaceObserved':
      namespacesOf(draft, event.clusterId)?.set(event.name, event.labels)
      return
    case 'NamespaceGone':
      namespacesOf(draft, event.clusterId)?.delete(event.name)
      return
    case 'AgentJoined':
      if (clusters.get(event.clusterId) === undefined) return
      clusterIdByAgent.set(event.agentId, event.clusterId)
      return
    case 'AgentRemoved':
      clusterIdByAgent.delete(event.agentId)
      return
    case 'JoinTokenIssued':
    case 'JoinTokenRedeemed':
    case 'RelayRegistered':
      return
  }
}

function namespacesOf(draft: Draft, clusterId: string): DraftMap<Labels> | undefined {
  const cluster = draft.clusters.get(clusterId)
  if (cluster === undefined) return undefined
  const known = draft.namespaces.get(clusterId)
  if (known !== undefined) return known
  const namespaces = draftMap(cluster.namespaces)
  draft.namespaces.set(clusterId, namespaces)
  return namespaces
}

function change(
  clusters: DraftMap<Cluster>,
  clusterId: string,
  changed: (cluster: Cluster) => Cluster,
): void {
  const cluster = clusters.get(clusterId)
  if (cluster !== undefined) clusters.set(clusterId, changed(cluster))
}

/** A level of a newer version, or none, counts as the least. */
function toInstallLevel(level: ProtoLevel): InstallLevel {
  switch (level) {
    case ProtoLevel.INSTALL_LEVEL_ADMIN:
      return 'admin'
    case ProtoLevel.INSTALL_LEVEL_EDIT:
      return 'edit'
    case ProtoLevel.INSTALL_LEVEL_VIEW:
    case ProtoLevel.INSTALL_LEVEL_UNSPECIFIED:
    case ProtoLevel.UNRECOGNIZED:
      return 'view'
  }
}
