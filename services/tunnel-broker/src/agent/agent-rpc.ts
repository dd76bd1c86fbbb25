import { rejections } from '@postern/errors'
import { AgentServiceDefinition } from '@postern/proto/postern/tunnelbroker/v1/cluster'
import { type Peer, register } from '@postern/rpc'
import type { ClusterRepository } from '../cluster/cluster-repository.ts'
import { sameLabels } from '../cluster/label-rules.ts'
import type { RelayRepository } from '../relay/relay-repository.ts'
import type { AgentStatusStore } from './agent-status.ts'
import type { createJoin, IssueAgentCertificate } from './join.ts'

const rejected = rejections({
  AGENT_REMOVED: [
    'permission_denied',
    'this agent was removed from its cluster; join again with "postern cluster join"',
  ],
})

/** How often an agent's configuration is looked at for changes. */
const LOOK_AGAIN_MS = 2000
const PROBLEMS_MAX = 50
const TEXT_MAX = 500

export function createAgentRpc(needs: {
  clusters: ClusterRepository
  agents: AgentStatusStore
  relays: RelayRepository
  join: ReturnType<typeof createJoin>
  issueCertificate: IssueAgentCertificate
  now: () => Date
}) {
  const { clusters, agents, relays, join, issueCertificate, now } = needs

  /** The certificate says which agent it is; the log says whether it still is one. */
  async function known({ clusterId, id }: Peer): Promise<{ clusterId: string; agentId: string }> {
    if (clusterId === undefined || !(await agents.isAgentOf(id, clusterId))) {
      throw rejected('AGENT_REMOVED')
    }
    return { clusterId, agentId: id }
  }

  return register(AgentServiceDefinition, {
    join: (request, { call }) => join(request.joinToken, request.csr, call.actor.cause),

    async renew(request, { call }) {
      return await issueCertificate({ ...(await known(call.peer)), csr: request.csr })
    },

    async *watchConfiguration(_request, { call }) {
      const { clusterId } = await known(call.peer)
      const { name: clusterName } = await clusters.get(clusterId)
      for (let sent = ''; !call.signal.aborted; ) {
        await known(call.peer)
        const relayAddresses = await relays.agentAddresses()
        const text = relayAddresses.join(' ')
        if (text !== sent) yield { clusterName, relayAddresses }
        sent = text
        await relays.changed(LOOK_AGAIN_MS, call.signal)
      }
    },

    async reportStatus(request, { call }) {
      const { clusterId, agentId } = await known(call.peer)
      const problems = request.problems
        .slice(0, PROBLEMS_MAX)
        .map((text) => text.slice(0, TEXT_MAX))
      const version = request.version.slice(0, TEXT_MAX)
      const kubernetesVersion = request.kubernetesVersion.slice(0, TEXT_MAX)
      await agents.note({ agentId, version, kubernetesVersion, problems }, now())
      if (!request.namespacesListed) return {}
      const former = await clusters.namespaces(clusterId)
      const observed = request.namespaces
      const isSame =
        observed.length === former.size &&
        observed.every(({ name, labels }) => sameLabels(former.get(name) ?? { '': '' }, labels))
      if (!isSame) {
        const command = { type: 'ObserveNamespaces' as const, namespaces: observed }
        await clusters.execute(clusterId, command, call.actor)
      }
      return {}
    },
  })
}
