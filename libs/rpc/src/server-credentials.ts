import { ServerCredentials } from '@grpc/grpc-js'
import type { TlsIdentity, TlsMaterial } from '@postern/pki'

/** Whether a server asks its clients for a certificate. Only the join port does not. */
export type ClientCertificates = 'required' | 'none'

/**
 * TLS 1.3 with the identity's present certificate: a renewed one is used for every connection that is
 * accepted after the renewal, without a restart.
 */
export class IdentityServerCredentials extends ServerCredentials {
  readonly #stopFollowing: () => void

  constructor(identity: TlsIdentity, clientCertificates: ClientCertificates) {
    const isRequired = clientCertificates === 'required'
    super(
      { requestCert: isRequired, rejectUnauthorized: isRequired },
      contextOf(identity.current()),
    )
    this.#stopFollowing = identity.onRenewed((material) =>
      this.updateSecureContextOptions(contextOf(material)),
    )
  }

  close(): void {
    this.#stopFollowing()
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other
  }
}

function contextOf({ cert, key, ca }: TlsMaterial) {
  return { cert, key, ca, minVersion: 'TLSv1.3' } as const
}
