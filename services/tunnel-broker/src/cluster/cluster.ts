import { rejections } from '@postern/errors'
import type { Decider } from '@postern/eventing'
import {
  checkClusterName,
  checkLabels,
  checkNamespace,
  type Labels,
  sameLabels,
} from './label-rules.ts'

/** A cluster that Postern gives access to, with its agents and the namespaces they saw. */
export type Cluster =
  | { status: 'absent' }
  | {
      status: 'registered' | 'removed'
      clusterId: string
      labels: Labels
      agents: ReadonlySet<string>
      namespaces: ReadonlyMap<string, Labels>
    }

/** The numbers of `postern.tunnelbroker.events.v1.InstallLevel`. */
export const INSTALL_LEVELS = { view: 1, edit: 2, admin: 3 } as const
/** Also what another version may have written: unspecified, or unknown here. */
export type InstallLevel = (typeof INSTALL_LEVELS)[keyof typeof INSTALL_LEVELS] | 0 | -1

type Namespace = { readonly name: string; readonly labels: Labels }

export type ClusterCommand =
  | {
      type: 'RegisterCluster'
      clusterId: string
      name: string
      labels: Labels
      installLevel: InstallLevel
    }
  | { type: 'SetLabels'; labels: Labels }
  | { type: 'RemoveCluster' }
  | { type: 'AddAgent'; agentId: string }
  | { type: 'RemoveAgent'; agentId: string }
  /** What differs is recorded a part at a time: given again until it changes nothing. */
  | { type: 'ObserveNamespaces'; namespaces: readonly Namespace[] }

export type ClusterEvent =
  | {
      type: 'ClusterRegistered'
      clusterId: string
      name: string
      labels: Record<string, string>
      installLevel: InstallLevel
    }
  | { type: 'ClusterLabelsChanged'; clusterId: string; labels: Record<string, string> }
  | { type: 'ClusterRemoved'; clusterId: string }
  | { type: 'AgentJoined'; clusterId: string; agentId: string }
  | { type: 'AgentRemoved'; clusterId: string; agentId: string }
  | {
      type: 'NamespaceObserved'
      clusterId: string
      name: string
      labels: Record<string, string>
    }
  | { type: 'NamespaceGone'; clusterId: string; name: string }

const NAMESPACES_MAX = 10_000
/** In one append, which holds everybody else up. */
const OBSERVED_AT_ONCE_MAX = 500
export const AGENTS_MAX = 16

export const clusterRejected = rejections({
  CLUSTER_EXISTS: ['already_exists', 'there is a cluster with this name'],
  CLUSTER_NOT_FOUND: ['not_found', 'there is no such cluster'],
  TOO_MANY_AGENTS: [
    'resource_exhausted',
    'a cluster has at most 16 agents; remove one that is gone first ("postern cluster remove-agent")',
  ],
  TOO_MANY_NAMESPACES: ['resource_exhausted', 'at most 10000 namespaces of a cluster are kept'],
})

export const cluster: Decider<Cluster, ClusterCommand, ClusterEvent> = {
  initial: { status: 'absent' },

  decide(command, state) {
    if (command.type === 'RegisterCluster') {
      if (state.status !== 'absent') throw clusterRejected('CLUSTER_EXISTS')
      const { clusterId, name, labels, installLevel } = command
      checkClusterName(name)
      checkLabels(labels)
      return [{ type: 'ClusterRegistered', clusterId, name, labels: { ...labels }, installLevel }]
    }
    if (state.status === 'absent') throw clusterRejected('CLUSTER_NOT_FOUND')
    if (state.status === 'removed') {
      if (command.type === 'RemoveCluster') return []
      throw clusterRejected('CLUSTER_NOT_FOUND')
    }
    const { clusterId } = state
    switch (command.type) {
      case 'SetLabels':
        checkLabels(command.labels)
        if (sameLabels(command.labels, state.labels)) return []
        return [{ type: 'ClusterLabelsChanged', clusterId, labels: { ...command.labels } }]
      case 'RemoveCluster':
        return [{ type: 'ClusterRemoved', clusterId }]
      case 'AddAgent':
        if (state.agents.has(command.agentId)) return []
        if (state.agents.size >= AGENTS_MAX) throw clusterRejected('TOO_MANY_AGENTS')
        return [{ type: 'AgentJoined', clusterId, agentId: command.agentId }]
      case 'RemoveAgent':
        // A retried or raced removal already has what it wants.
        if (!state.agents.has(command.agentId)) return []
        return [{ type: 'AgentRemoved', clusterId, agentId: command.agentId }]
      case 'ObserveNamespaces':
        return differences(clusterId, state.namespaces, command.namespaces).slice(
          0,
          OBSERVED_AT_ONCE_MAX,
        )
    }
  },

  evolve(state, event) {
    if (event.type === 'ClusterRegistered') {
      const { clusterId, labels } = event
      return {
        status: 'registered',
        clusterId,
        labels,
        agents: new Set(),
        namespaces: new Map(),
      }
    }
    if (state.status === 'absent') return state
    switch (event.type) {
      case 'ClusterLabelsChanged':
        return { ...state, labels: event.labels }
      case 'ClusterRemoved':
        return { ...state, status: 'removed' }
      case 'AgentJoined':
        return { ...state, agents: new Set(state.agents).add(event.agentId) }
      case 'AgentRemoved':
        return { ...state, agents: without(state.agents, event.agentId) }
      case 'NamespaceObserved':
        return { ...state, namespaces: new Map(state.namespaces).set(event.name, event.labels) }
      case 'NamespaceGone': {
        const namespaces = new Map(state.namespaces)
        namespaces.delete(event.name)
        return { ...state, namespaces }
      }
    }
  },
}

/** What an agent's list says that was not known, or no longer holds. */
function differences(
  clusterId: string,
  known: ReadonlyMap<string, Labels>,
  observed: readonly Namespace[],
): ClusterEvent[] {
  if (observed.length > NAMESPACES_MAX) throw clusterRejected('TOO_MANY_NAMESPACES')
  const events: ClusterEvent[] = []
  const seen = new Set<string>()
  for (const { name, labels } of observed) {
    if (seen.has(name)) continue
    seen.add(name)
    const former = known.get(name)
    if (former !== undefined && sameLabels(former, labels)) continue
    checkNamespace({ name, labels })
    events.push({ type: 'NamespaceObserved', clusterId, name, labels: { ...labels } })
  }
  for (const name of known.keys()) {
    if (!seen.has(name)) events.push({ type: 'NamespaceGone', clusterId, name })
  }
  return events
}

function without<T>(set: ReadonlySet<T>, value: T): Set<T> {
  const rest = new Set(set)
  rest.delete(value)
  return rest
}
