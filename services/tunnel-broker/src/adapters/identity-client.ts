import { CertificateAuthorityServiceDefinition } from '@postern/proto/postern/identity/v1/certificate_authority'
import { type RpcClients, toRejection } from '@postern/rpc'
import type { IssueAgentCertificate } from '../agent/join.ts'

/** Certificates for agents come from identity, which checks that this is tunnel-broker. */
export function createIssueAgentCertificate(clients: RpcClients): IssueAgentCertificate {
  const authority = clients.of(CertificateAuthorityServiceDefinition, 'identity')
  return async (order) => {
    const { certificate } = await authority.issueAgentCertificate(order).catch(handOn)
    if (certificate === undefined) throw new Error('identity issued no certificate')
    return { chain: certificate.chain, roots: certificate.roots }
  }
}

/** A certificate request that identity refuses is the agent's fault, and said so. */
function handOn(error: unknown): never {
  throw toRejection(error) ?? error
}
