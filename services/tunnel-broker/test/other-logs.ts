import { Rejection } from '@postern/errors'
import { createPeople, type ServedLogNeeds, serveLog } from '@postern/fixtures/other-services'
import type { TestAuthority } from '@postern/pki/testing'
import { CertificateAuthorityServiceDefinition } from '@postern/proto/postern/identity/v1/certificate_authority'
import { identityCodec, policyCodec } from '@postern/replica'
import { type RpcRegistration, register } from '@postern/rpc'

/** What tunnel-broker hears of identity and policy, and asks of identity. */
export async function startOtherLogs(needs: ServedLogNeeds) {
  const people = createPeople()
  const authority = { isDown: false, issued: 0 }
  const identity = await serveLog(needs, 'identity', identityCodec, [
    people.tokenService,
    certificateAuthority(needs.authority, authority),
  ])
  const policy = await serveLog(needs, 'policy', policyCodec)
  return {
    identity,
    policy,
    /** Whether identity issues certificates, and how many it has. */
    authority,
    signIn: people.signIn,
    async stop() {
      await identity.stop()
      await policy.stop()
    },
  }
}

/** Issues as identity does: for the ids that it is told, whatever the certificate request names. */
function certificateAuthority(
  authority: TestAuthority,
  state: { isDown: boolean; issued: number },
): RpcRegistration {
  const absent = async (): Promise<never> => {
    throw new Error('not part of this test')
  }
  return register(CertificateAuthorityServiceDefinition, {
    renewCertificate: absent,
    getTrustBundle: absent,
    async issueAgentCertificate({ csr, clusterId, agentId }) {
      if (state.isDown) throw new Error('identity cannot sign now')
      if (csr.length < 10) throw new Rejection('INVALID_CSR', 'invalid_argument', 'no CSR')
      state.issued += 1
      const { chain, roots } = await authority.issue(csr, `agent/${clusterId}/${agentId}`)
      return { certificate: { chain, roots, notAfter: new Date().toISOString() } }
    },
  })
}
