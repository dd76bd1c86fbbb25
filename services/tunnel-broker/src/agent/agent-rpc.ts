import { rejections } from '@postern/errors'
import type { Actor } from '@postern/eventing'
import {
  AgentServiceDefinition,
  type Namespace,
} from '@postern/proto/postern/tunnelbroker/v1/cluster'
import { type Peer, register } from '@postern/rpc'
import type { Changes } from '../changes.ts'
import type { ClusterRepository } from '../cluster/cluster-repository.ts'
import type { RelayRepository } from '../relay/relay-repository.ts'
import type { AgentStatusStore } from './agent-status.ts'
import type { createJoin, IssueAgentCertificate } from './join.ts'

const rejected = rejections({
  AGENT_REMOVED: [
    'permission_denied',
    'this agent was removed from its cluster; join again with "postern cluster join"',
  ],
})

/**
 * How often an agent's configuration is looked at when nobody says that something changed: another
 * process heard of a relay, or the agent was removed and has had the time to clear away its accounts.
 */
const LOOK_AGAIN_MS = 10_000
const PROBLEMS_MAX = 50
const TEXT_MAX = 500
/** Rounds that ten thousand namespaces take, and some in which others come between. */
const OBSERVATIONS_MAX = 50

export function createAgentRpc(needs: {
  clusters: ClusterRepository
  agents: AgentStatusStore
  relays: RelayRepository
  changes: Changes
  join: ReturnType<typeof createJoin>
  issueCertificate: IssueAgentCertificate
  now: () => Date
}) {
  const { clusters, agents, relays, changes, join, issueCertificate, now } = needs

  /** The certificate says which agent it is; the log says whether it still is one. */
  async function known({ clusterId, id }: Peer): Promise<{ clusterId: string; agentId: string }> {
    if (clusterId === undefined || !(await agents.isAgentOf(id, clusterId))) {
      throw rejected('AGENT_REMOVED')
    }
    return { clusterId, agentId: id }
  }

  async function observe(clusterId: string, namespaces: readonly Namespace[], actor: Actor) {
    const command = { type: 'ObserveNamespaces' as const, namespaces }
    let before: bigint | undefined
    for (let round = 0; round < OBSERVATIONS_MAX; round += 1) {
      const pos = await clusters.execute(clusterId, command, actor)
      if (pos === before) return
      before = pos
    }
  }

  return register(AgentServiceDefinition, {
    join: (request, { call }) => join(request.joinToken, request.csr, call.actor.cause),

    async renew(request, { call }) {
      return await issueCertificate({ ...(await known(call.peer)), csr: request.csr })
    },

    async *watchConfiguration(_request, { call }) {
      const { clusterId } = await known(call.peer)
      const { name: clusterName } = await clusters.get(clusterId)
      for (let sent: string | undefined; !call.signal.aborted; ) {
        const seen = changes.seen()
        await known(call.peer)
        const relayAddresses = await relays.agentAddresses()
        const text = relayAddresses.join(' ')
        if (text !== sent) yield { clusterName, relayAddresses }
        sent = text
        await changes.more(seen, LOOK_AGAIN_MS, call.signal)
      }
    },

    async reportStatus(request, { call }) {
      const { clusterId, agentId } = await known(call.peer)
      const status = {
        agentId,
        version: toLine(request.version),
        kubernetesVersion: toLine(request.kubernetesVersion),
        problems: request.problems.slice(0, PROBLEMS_MAX).map(toLine),
      }
      await agents.note(status, now())
      if (request.namespacesListed) await observe(clusterId, request.namespaces, call.actor)
      return {}
    },
  })
}

/** An agent's words as one line that every reader and the database can take. */
function toLine(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim()
  // A pair of surrogates may have been cut in two, which UTF-8 cannot carry.
  return line.slice(0, TEXT_MAX).replaceAll(/\p{Cs}/gu, '')
}
