import type { DomainEvent } from '@postern/eventing'
import { fileTlsIdentity, type RenewingTlsIdentity, toPart } from '@postern/pki'
import { CertificateAuthorityServiceDefinition } from '@postern/proto/postern/identity/v1/certificate_authority'
import type { RpcClients } from '@postern/rpc'
import type { Log } from '@postern/telemetry'
import type { ServiceDefinition } from './definition.ts'
import { prefixOf, type Settings } from './settings.ts'

/**
 * The service's certificate: from TLS_DIR, renewed by identity; or as the definition says.
 * `clients` is asked for at the first renewal: the clients need the identity first.
 */
export async function openIdentity<Config, Database, Event extends DomainEvent>(
  definition: ServiceDefinition<Config, Database, Event>,
  settings: Settings<Config>,
  needs: { readonly log: Log; readonly now: () => Date; readonly clients: () => RpcClients },
): Promise<RenewingTlsIdentity> {
  const { log, now } = needs
  const { trustDomain } = settings.shared
  const identity =
    definition.tlsIdentity === undefined
      ? await fromFiles(definition.name, settings, needs)
      : await definition.tlsIdentity({ config: settings.own, trustDomain, log, now })
  const part = toPart(trustDomain, identity.spiffeId)
  if (part?.kind !== definition.name) {
    identity.close()
    throw new Error(
      `the certificate is for ${identity.spiffeId}, which is not ${definition.name} in ${trustDomain}`,
    )
  }
  return identity
}

async function fromFiles<Config>(
  service: string,
  { standard, addresses }: Settings<Config>,
  needs: { readonly log: Log; readonly now: () => Date; readonly clients: () => RpcClients },
): Promise<RenewingTlsIdentity> {
  const { log, now, clients } = needs
  if (standard.tlsDir === undefined) throw new Error(`${prefixOf(service)}TLS_DIR must be set`)
  const files = { dir: standard.tlsDir, log, now }
  if (addresses.identity === undefined) return await fileTlsIdentity(files)
  return await fileTlsIdentity({
    ...files,
    async renew(csr) {
      const authority = clients().of(CertificateAuthorityServiceDefinition, 'identity')
      const { certificate } = await authority.renewCertificate({ csr })
      if (certificate === undefined) throw new Error('identity answered without a certificate')
      return certificate
    },
  })
}
