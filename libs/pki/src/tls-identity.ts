import { createPrivateKey, X509Certificate } from 'node:crypto'
import { certificatesFromPem, certificatesToPem } from './pem.ts'
import { spiffeIdOfLeaf, verifyChain } from './verify-chain.ts'

/** A certificate with its key that is replaced before it expires. */
export type TlsIdentity = {
  readonly spiffeId: string
  current(): TlsMaterial
  /** Called with each new certificate. Answers a function that ends it. */
  onRenewed(listener: (material: TlsMaterial) => void): () => void
}

/** PEM, as node:tls and grpc-js take it. */
export type TlsMaterial = {
  /** Leaf first, then intermediates. */
  readonly cert: string
  readonly key: string
  /** Roots. */
  readonly ca: string
  readonly notAfter: Date
}

/** An identity that its owner replaces by hand: for tests, set-up, and agents after their join. */
export type StaticTlsIdentity = TlsIdentity & {
  /** @throws Error unless the certificate has the same SPIFFE ID */
  replace(material: TlsMaterial): void
}

/** Keeps a certificate in memory. @throws Error when it is not usable */
export function staticTlsIdentity(first: TlsMaterial): StaticTlsIdentity {
  let material = first
  const spiffeId = spiffeIdOfMaterial(first)
  const listeners = new Set<(material: TlsMaterial) => void>()
  return {
    spiffeId,
    current: () => material,
    onRenewed(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    replace(next) {
      const found = spiffeIdOfMaterial(next)
      if (found !== spiffeId)
        throw new Error(`the new certificate is for ${found}, not ${spiffeId}`)
      material = next
      for (const listener of listeners) listener(next)
    },
  }
}

/** DER certificates, as an authority answers them, and the key in PEM. */
export function toTlsMaterial(issued: {
  readonly chain: readonly Uint8Array[]
  readonly roots: readonly Uint8Array[]
  readonly key: string
}): TlsMaterial {
  const cert = certificatesToPem(issued.chain)
  const ca = certificatesToPem(issued.roots)
  return { cert, key: issued.key, ca, notAfter: leafOf(cert).validToDate }
}

/** From PEM files. @throws Error when they do not fit together */
export function parseTlsMaterial(pem: { cert: string; key: string; ca: string }): TlsMaterial {
  const leaf = leafOf(pem.cert)
  if (!leaf.checkPrivateKey(createPrivateKey(pem.key))) {
    throw new Error('the private key does not belong to the certificate')
  }
  const { cert, key, ca } = pem
  return { cert, key, ca, notAfter: leaf.validToDate }
}

/** @throws Rejection unless the leaf leads to its own roots at the moment */
export function verifyTlsMaterial(material: TlsMaterial, at: Date): string {
  const chain = certificatesFromPem(material.cert)
  return verifyChain({ chain, roots: certificatesFromPem(material.ca), at })
}

/** When the leaf's life began. */
export function notBeforeOf(material: TlsMaterial): Date {
  return leafOf(material.cert).validFromDate
}

function spiffeIdOfMaterial(material: TlsMaterial): string {
  return spiffeIdOfLeaf(leafOf(material.cert).raw)
}

function leafOf(cert: string): X509Certificate {
  const [der] = certificatesFromPem(cert)
  if (der === undefined) throw new Error('there is no certificate in the PEM text')
  return new X509Certificate(der)
}
