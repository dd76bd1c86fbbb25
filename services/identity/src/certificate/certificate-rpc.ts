import { parseId } from '@postern/ids'
import { toSpiffeId } from '@postern/pki'
import { CertificateAuthorityServiceDefinition } from '@postern/proto/postern/identity/v1/certificate_authority'
import { type Peer, register } from '@postern/rpc'
import type { CertificateAuthority, Issued } from '../adapters/certificate-authority.ts'

type Needs = { authority: CertificateAuthority; trustDomain: string }

/** Names come from the peer's own certificate or from tunnel-broker, never from the request's CSR. */
export function createCertificateRpc({ authority, trustDomain }: Needs) {
  return register(CertificateAuthorityServiceDefinition, {
    async renewCertificate({ csr }, { call }) {
      const { spiffeId } = call.peer
      const dnsNames = dnsNamesOf(call.peer, trustDomain)
      return { certificate: toCertificate(await authority.issue({ csr, spiffeId, dnsNames })) }
    },

    async issueAgentCertificate({ csr, clusterId, agentId }) {
      const path = ['agent', parseId('cluster', clusterId), parseId('agent', agentId)]
      const spiffeId = toSpiffeId(trustDomain, ...path)
      return { certificate: toCertificate(await authority.issue({ csr, spiffeId, dnsNames: [] })) }
    },

    getTrustBundle: async () => ({ roots: [...authority.roots] }),
  })
}

/** By which a caller may reach the peer; only its SPIFFE ID says who it is. */
function dnsNamesOf({ kind, id }: Pick<Peer, 'kind' | 'id'>, trustDomain: string): string[] {
  if (kind === 'gateway' || kind === 'agent') return []
  return kind === 'relay' ? [`relay.${trustDomain}`] : [`${id}.${trustDomain}`]
}

function toCertificate({ chain, roots, notAfter }: Issued) {
  return { chain, roots, notAfter: notAfter.toISOString() }
}
