import type { Actor, EventStore } from '@postern/eventing'
import { newId } from '@postern/ids'
import { sha256 } from '@postern/pki'
import type { Kysely } from 'kysely'
import { AGENTS_MAX, clusterRejected } from '../cluster/cluster.ts'
import type { ClusterRepository } from '../cluster/cluster-repository.ts'
import type { TunnelBrokerDatabase } from '../database.ts'
import { joinToken, joinTokenRejected } from '../join-token/join-token.ts'
import type { TunnelBrokerEvent } from '../tunnel-broker-codec.ts'
import type { AgentStatusStore } from './agent-status.ts'

type IssuedCertificate = { readonly chain: Buffer[]; readonly roots: Buffer[] }

/** Asks identity for an agent's certificate. */
export type IssueAgentCertificate = (order: {
  clusterId: string
  agentId: string
  csr: Buffer
}) => Promise<IssuedCertificate>

export type Joined = IssuedCertificate & { readonly clusterId: string; readonly agentId: string }

/** An agent's certificate lives for at most a day; one that was not heard of for two has none. */
const GONE_AFTER_MS = 2 * 24 * 3_600_000

/**
 * Lets an agent in for a join token. The certificate is made before the token is used up, so that a
 * failure of identity burns no token; it leaves this function only for the one who redeemed it.
 *
 * @throws Rejection JOIN_TOKEN_INVALID, TOO_MANY_AGENTS
 */
export function createJoin(needs: {
  db: Kysely<TunnelBrokerDatabase>
  store: EventStore<TunnelBrokerDatabase, TunnelBrokerEvent>
  clusters: ClusterRepository
  agents: AgentStatusStore
  issueCertificate: IssueAgentCertificate
  now: () => Date
}) {
  const { db, store, clusters, agents, issueCertificate, now } = needs

  async function findToken(secret: string) {
    const token = await db
      .selectFrom('join_tokens')
      .innerJoin('clusters', 'clusters.cluster_id', 'join_tokens.cluster_id')
      .select(['token_id', 'join_tokens.cluster_id', 'expires_at'])
      .where('token_sha256', '=', sha256(secret))
      .where('redeemed', '=', false)
      .where('removed', '=', false)
      .executeTakeFirst()
    if (token === undefined || now() >= new Date(token.expires_at)) {
      throw joinTokenRejected('JOIN_TOKEN_INVALID')
    }
    return { tokenId: token.token_id, clusterId: token.cluster_id }
  }

  /** Agents that are gone for good make room: a cluster that is installed anew joins anew. */
  async function makeRoom(clusterId: string, actor: Actor): Promise<void> {
    if ((await agentsIn(db, clusterId)) < AGENTS_MAX) return
    const before = new Date(now().getTime() - GONE_AFTER_MS)
    for (const agentId of await agents.goneSince(clusterId, before)) {
      await clusters.execute(clusterId, { type: 'RemoveAgent', agentId }, actor)
    }
  }

  return async (secret: string, csr: Buffer, cause: string): Promise<Joined> => {
    const { tokenId, clusterId } = await findToken(secret)
    const agentId = newId('agent')
    const actor: Actor = { by: `agent:${agentId}`, cause }
    const certificate = await issueCertificate({ clusterId, agentId, csr })
    await makeRoom(clusterId, actor)
    await store.execute({
      stream: `join-token-${tokenId}`,
      decider: joinToken,
      command: { type: 'RedeemJoinToken', agentId },
      actor,
      // A cluster that is full uses up no token.
      async guard(tx) {
        if ((await agentsIn(tx, clusterId)) >= AGENTS_MAX) throw clusterRejected('TOO_MANY_AGENTS')
      },
    })
    await clusters.execute(clusterId, { type: 'AddAgent', agentId }, actor)
    return { ...certificate, clusterId, agentId }
  }
}

async function agentsIn(db: Kysely<TunnelBrokerDatabase>, clusterId: string): Promise<number> {
  const rows = await db
    .selectFrom('agents')
    .select('agent_id')
    .where('cluster_id', '=', clusterId)
    .execute()
  return rows.length
}
