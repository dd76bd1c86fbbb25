import { createPrivateKey, sign, verify, X509Certificate } from 'node:crypto'
import { certificatesFromPem } from './pem.ts'
import type { TlsMaterial } from './tls-identity.ts'
import { verifyChain } from './verify-chain.ts'

/** ECDSA P-256 with SHA-256, IEEE P1363 form, with the signer's certificates. */
export type Signed = {
  readonly data: Uint8Array
  readonly signature: Uint8Array
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[]
}

const ENCODING = 'ieee-p1363'
const SIGNATURE_BYTES = 64

/** Signs with the key of a leaf certificate. */
export function signAs(material: TlsMaterial, data: Uint8Array): Signed & { chain: Buffer[] } {
  const key = createPrivateKey(material.key)
  const signature = sign('sha256', data, { key, dsaEncoding: ENCODING })
  return { data, signature, chain: certificatesFromPem(material.cert) }
}

/**
 * Whether the data was signed by exactly that SPIFFE ID, whose certificate leads to one of the
 * roots (PEM) at the moment. Any doubt is a no.
 */
export function isSignedBy(
  signed: Signed,
  expected: { readonly spiffeId: string; readonly ca: string; readonly at: Date },
): boolean {
  try {
    const roots = certificatesFromPem(expected.ca)
    const spiffeId = verifyChain({ chain: signed.chain, roots, at: expected.at })
    const [leaf] = signed.chain
    if (spiffeId !== expected.spiffeId || leaf === undefined) return false
    if (signed.signature.byteLength !== SIGNATURE_BYTES) return false
    const key = new X509Certificate(leaf).publicKey
    return verify('sha256', signed.data, { key, dsaEncoding: ENCODING }, signed.signature)
  } catch {
    return false
  }
}
