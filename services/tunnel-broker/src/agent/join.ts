import type { Actor, EventStore } from '@postern/eventing'
import { newId } from '@postern/ids'
import { sha256 } from '@postern/pki'
import type { Kysely } from 'kysely'
import type { ClusterRepository } from '../cluster/cluster-repository.ts'
import type { TunnelBrokerDatabase } from '../database.ts'
import { joinToken, joinTokenRejected } from '../join-token/join-token.ts'
import type { TunnelBrokerEvent } from '../tunnel-broker-codec.ts'

type IssuedCertificate = { readonly chain: Buffer[]; readonly roots: Buffer[] }

/** Asks identity for an agent's certificate. */
export type IssueAgentCertificate = (order: {
  clusterId: string
  agentId: string
  csr: Buffer
}) => Promise<IssuedCertificate>

export type Joined = IssuedCertificate & { readonly clusterId: string; readonly agentId: string }

/**
 * Lets an agent in for a join token. The certificate is made before the token is used up, so that a
 * failure of identity burns no token; it leaves this function only for the one who redeemed it.
 *
 * @throws Rejection JOIN_TOKEN_INVALID
 */
export function createJoin(needs: {
  db: Kysely<TunnelBrokerDatabase>
  store: EventStore<TunnelBrokerDatabase, TunnelBrokerEvent>
  clusters: ClusterRepository
  issueCertificate: IssueAgentCertificate
  now: () => Date
}) {
  const { db, store, clusters, issueCertificate, now } = needs
  return async (secret: string, csr: Buffer, cause: string): Promise<Joined> => {
    const token = await db
      .selectFrom('join_tokens')
      .selectAll()
      .where('token_sha256', '=', sha256(secret))
      .executeTakeFirst()
    if (token === undefined || token.redeemed || now() >= new Date(token.expires_at)) {
      throw joinTokenRejected('JOIN_TOKEN_INVALID')
    }
    const { clusterId } = await clusters.get(token.cluster_id)
    const agentId = newId('agent')
    const certificate = await issueCertificate({ clusterId, agentId, csr })
    const actor: Actor = { by: `agent:${agentId}`, cause }
    await store.execute({
      stream: `join-token-${token.token_id}`,
      decider: joinToken,
      command: { type: 'RedeemJoinToken', agentId },
      actor,
    })
    await clusters.execute(clusterId, { type: 'AddAgent', agentId }, actor)
    return { ...certificate, clusterId, agentId }
  }
}
