import { createSecureContext, type PeerCertificate, type SecureContext } from 'node:tls'
import { ChannelCredentials } from '@grpc/grpc-js'
import { spiffeIdOfLeaf, type TlsIdentity } from '@postern/pki'

type Connect = ChannelCredentials['_createSecureConnector']

/**
 * TLS 1.3 to a server whose certificate must carry the expected SPIFFE ID; host names mean nothing.
 * Each new connection presents the certificate that is current then.
 */
export class SpiffeChannelCredentials extends ChannelCredentials {
  readonly #newContext: () => SecureContext
  readonly #expectedSpiffeId: string

  constructor(newContext: () => SecureContext, expectedSpiffeId: string) {
    super()
    this.#newContext = newContext
    this.#expectedSpiffeId = expectedSpiffeId
  }

  override _isSecure(): boolean {
    return true
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other
  }

  override _createSecureConnector(...parameters: Parameters<Connect>): ReturnType<Connect> {
    const connectorOf = () =>
      ChannelCredentials.createFromSecureContext(this.#newContext(), {
        checkServerIdentity: (_host, certificate) =>
          checkSpiffeId(certificate, this.#expectedSpiffeId),
      })._createSecureConnector(...parameters)
    const first = connectorOf()
    return {
      connect: async (socket) => await connectorOf().connect(socket),
      waitForReady: async () => undefined,
      getCallCredentials: () => first.getCallCredentials(),
      destroy: () => undefined,
    }
  }
}

/** With our own certificate. */
export function mutualContext(identity: TlsIdentity): SecureContext {
  const { cert, key, ca } = identity.current()
  return createSecureContext({ cert, key, ca, minVersion: 'TLSv1.3' })
}

/** Without a certificate: `ca` are the roots, PEM. */
export function anonymousContext(ca: string): SecureContext {
  return createSecureContext({ ca, minVersion: 'TLSv1.3' })
}

function checkSpiffeId(certificate: PeerCertificate, expected: string): Error | undefined {
  try {
    const found = spiffeIdOfLeaf(certificate.raw)
    return found === expected ? undefined : new Error(`expected ${expected}, found ${found}`)
  } catch (cause) {
    return new Error(`expected ${expected}, found no SPIFFE ID`, { cause })
  }
}
