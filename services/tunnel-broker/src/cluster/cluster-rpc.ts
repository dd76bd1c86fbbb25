import { rejections } from '@postern/errors'
import type { EventStore } from '@postern/eventing'
import { newId, parseId } from '@postern/ids'
import { newSecret, sha256 } from '@postern/pki'
import {
  type Cluster,
  ClusterServiceDefinition,
  ClusterState,
} from '@postern/proto/postern/tunnelbroker/v1/cluster'
import { type Call, cutPage, parsePage, register } from '@postern/rpc'
import { type AgentStatus, type AgentStatusStore, reachability } from '../agent/agent-status.ts'
import type { TunnelBrokerDatabase } from '../database.ts'
import { joinToken } from '../join-token/join-token.ts'
import type { TunnelBrokerEvent } from '../tunnel-broker-codec.ts'
import { clusterRejected, INSTALL_LEVELS, type InstallLevel } from './cluster.ts'
import type { ClusterRepository, ClusterRow } from './cluster-repository.ts'
import type { RenderJoinManifest } from './join-manifest.ts'

const rejected = rejections({
  INSTALL_LEVEL: ['invalid_argument', 'install_level is VIEW, EDIT or ADMIN'],
  STARTING: ['unavailable', 'tunnel-broker is still reading the logs; try again'],
})

const JOIN_TOKEN_HOURS = 1

/** Which clusters a user may use, by what identity and policy say now. */
export type UsableClusters = {
  ready(): boolean
  of(userId: string, at: Date): readonly string[]
}

export function createClusterRpc(needs: {
  clusters: ClusterRepository
  agents: AgentStatusStore
  store: EventStore<TunnelBrokerDatabase, TunnelBrokerEvent>
  usable: UsableClusters
  renderManifest: RenderJoinManifest
  now: () => Date
}) {
  const { clusters, agents, store, usable, renderManifest, now } = needs

  async function toClusters(rows: readonly ClusterRow[]): Promise<Cluster[]> {
    const statuses = await agents.ofClusters(rows.map(({ clusterId }) => clusterId))
    return rows.map((row) => toCluster(row, statuses.get(row.clusterId) ?? [], now()))
  }

  /** `undefined` means all of them. */
  function visible(call: Call, permission: string): readonly string[] | undefined {
    if (call.can(permission)) return undefined
    if (call.user === undefined) return []
    if (!usable.ready()) throw rejected('STARTING')
    return usable.of(call.user.userId, now())
  }

  return register(ClusterServiceDefinition, {
    async createCluster(request, { call }) {
      const clusterId = newId('cluster')
      const { name, labels } = request
      const installLevel = toInstallLevel(request.installLevel)
      const command = { type: 'RegisterCluster' as const, clusterId, name, labels, installLevel }
      await clusters.execute(clusterId, command, call.actor)
      const [cluster] = await toClusters([await clusters.get(clusterId)])
      return { cluster }
    },

    async listClusters(request, { call }) {
      const page = parsePage(request)
      const ids = visible(call, 'tunnelbroker.clusters.list')
      const found = await clusters.list({ after: page.after, limit: page.limit + 1, ids })
      const { rows, nextPageToken } = cutPage(found, page, ({ name }) => name)
      return { clusters: await toClusters(rows), nextPageToken }
    },

    async getCluster(request, { call }) {
      const ids = visible(call, 'tunnelbroker.clusters.get')
      const row = await clusters.get(request.cluster)
      // What a user may not use does not exist for him.
      if (ids?.includes(row.clusterId) === false) throw clusterRejected('CLUSTER_NOT_FOUND')
      const [cluster] = await toClusters([row])
      return { cluster }
    },

    async setClusterLabels(request, { call }) {
      const { clusterId } = await clusters.get(request.cluster)
      await clusters.execute(clusterId, { type: 'SetLabels', labels: request.labels }, call.actor)
      return {}
    },

    async deleteCluster(request, { call }) {
      const { clusterId } = await clusters.get(request.cluster)
      await clusters.execute(clusterId, { type: 'RemoveCluster' }, call.actor)
      await agents.forget()
      return {}
    },

    async removeAgent(request, { call }) {
      const agentId = parseId('agent', request.agentId)
      const { clusterId } = await clusters.get(request.cluster)
      await clusters.execute(clusterId, { type: 'RemoveAgent', agentId }, call.actor)
      await agents.forget()
      return {}
    },

    async createJoinManifest(request, { call }) {
      const cluster = await clusters.get(request.cluster)
      const secret = newSecret('pjt_')
      // First, so that no token is issued that nobody gets.
      const manifest = await renderManifest({ cluster, joinToken: secret })
      const tokenId = newId('join-token')
      const expiresAt = new Date(now().getTime() + JOIN_TOKEN_HOURS * 3_600_000).toISOString()
      await store.execute({
        stream: `join-token-${tokenId}`,
        decider: joinToken,
        command: {
          type: 'IssueJoinToken',
          tokenId,
          clusterId: cluster.clusterId,
          tokenSha256: sha256(secret),
          expiresAt,
        },
        actor: call.actor,
      })
      return { manifest, tokenExpiresAt: expiresAt }
    },
  })
}

const STATES = {
  pending: ClusterState.CLUSTER_STATE_PENDING,
  online: ClusterState.CLUSTER_STATE_ONLINE,
  offline: ClusterState.CLUSTER_STATE_OFFLINE,
} as const

function toCluster(row: ClusterRow, agents: readonly AgentStatus[], now: Date): Cluster {
  return {
    id: row.clusterId,
    name: row.name,
    labels: row.labels,
    installLevel: toInstallLevel(row.installLevel),
    state: STATES[reachability(agents, now)],
    agents: agents.map(({ agentId, version, problems, lastSeenAt }) => ({
      id: agentId,
      version,
      problems: [...problems],
      lastSeenAt: lastSeenAt?.toISOString(),
    })),
    kubernetesVersion:
      agents.find((agent) => agent.kubernetesVersion !== '')?.kubernetesVersion ?? '',
  }
}

function toInstallLevel(number: number): InstallLevel {
  if (number === 0) return INSTALL_LEVELS.edit
  const level = Object.values(INSTALL_LEVELS).find((known) => known === number)
  if (level === undefined) throw rejected('INSTALL_LEVEL')
  return level
}
