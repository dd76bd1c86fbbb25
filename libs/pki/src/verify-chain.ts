import { X509Certificate as NodeCertificate } from 'node:crypto'
import { Rejection, rejections } from '@postern/errors'
import { isP256 } from './csr.ts'
import { isSpiffeId } from './spiffe-id.ts'
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509Certificate,
} from './x509-library.ts'

const rejected = rejections({
  CERTIFICATE_NOT_TRUSTED: ['unauthenticated', 'the certificate does not lead to a trusted root'],
  CERTIFICATE_NOT_VALID_NOW: ['unauthenticated', 'the certificate is expired or not valid yet'],
  CERTIFICATE_NOT_A_LEAF: [
    'unauthenticated',
    'the certificate is not a P-256 leaf with one SPIFFE ID',
  ],
})

const CERTIFICATE_BYTES_MAX = 16 * 1024
const CHAIN_LENGTH_MAX = 3

type Certificate = { readonly node: NodeCertificate; readonly parsed: X509Certificate }

export type ChainOrder = {
  /** DER, leaf first. The root may be left out. */
  readonly chain: readonly Uint8Array[]
  /** DER. */
  readonly roots: readonly Uint8Array[]
  readonly at: Date
}

/**
 * Checks that the leaf leads to one of the roots at the moment, and answers its SPIFFE ID.
 * @throws Rejection CERTIFICATE_NOT_TRUSTED, CERTIFICATE_NOT_VALID_NOW, CERTIFICATE_NOT_A_LEAF
 */
export function verifyChain(order: ChainOrder): string {
  return orNotTrusted(() => verify(order))
}

/**
 * The one SPIFFE ID of a leaf. Says nothing about whether the certificate is trusted.
 * @throws Rejection CERTIFICATE_NOT_A_LEAF, CERTIFICATE_NOT_TRUSTED
 */
export function spiffeIdOfLeaf(der: Uint8Array): string {
  return orNotTrusted(() => spiffeIdOf(parseCertificate(der)))
}

function verify({ chain, roots, at }: ChainOrder): string {
  const [leaf, ...authorities] = chain.map(parseCertificate)
  if (leaf === undefined || chain.length > CHAIN_LENGTH_MAX) {
    throw rejected('CERTIFICATE_NOT_TRUSTED')
  }
  const spiffeId = spiffeIdOf(leaf)
  checkPath(leaf, authorities, roots.map(parseCertificate), at)
  return spiffeId
}

/** The parser is lazy: what it stumbles over, anywhere, is no certificate to trust. */
function orNotTrusted(work: () => string): string {
  try {
    return work()
  } catch (error) {
    throw error instanceof Rejection ? error : rejected('CERTIFICATE_NOT_TRUSTED')
  }
}

function checkPath(
  leaf: Certificate,
  authorities: readonly Certificate[],
  roots: readonly Certificate[],
  at: Date,
): void {
  checkValidAt(leaf, at)
  let subject = leaf
  for (const [depth, authority] of authorities.entries()) {
    if (roots.some((root) => isIssuedBy(subject, root, depth, at))) return
    if (!isIssuedBy(subject, authority, depth, at)) throw rejected('CERTIFICATE_NOT_TRUSTED')
    subject = authority
  }
  if (!roots.some((root) => isIssuedBy(subject, root, authorities.length, at))) {
    throw rejected('CERTIFICATE_NOT_TRUSTED')
  }
}

/** `authoritiesBelow`: how many authorities stand between the issuer and the leaf. */
function isIssuedBy(
  subject: Certificate,
  issuer: Certificate,
  authoritiesBelow: number,
  at: Date,
): boolean {
  const constraints = issuer.parsed.getExtension(BasicConstraintsExtension)
  if (!constraints?.ca || authoritiesBelow > (constraints.pathLength ?? authoritiesBelow))
    return false
  const usages = issuer.parsed.getExtension(KeyUsagesExtension)?.usages ?? 0
  if ((usages & KeyUsageFlags.keyCertSign) === 0) return false
  if (!isValidAt(issuer, at)) return false
  return subject.node.checkIssued(issuer.node) && subject.node.verify(issuer.node.publicKey)
}

function spiffeIdOf({ node, parsed }: Certificate): string {
  const names = parsed.getExtension(SubjectAlternativeNameExtension)?.names.items ?? []
  const [uri, ...more] = names.filter((name) => name.type === 'url')
  if (uri === undefined || more.length > 0 || node.ca || !isP256(parsed.publicKey.algorithm)) {
    throw rejected('CERTIFICATE_NOT_A_LEAF')
  }
  if (!isSpiffeId(uri.value)) throw rejected('CERTIFICATE_NOT_A_LEAF')
  return uri.value
}

function checkValidAt(certificate: Certificate, at: Date): void {
  if (!isValidAt(certificate, at)) throw rejected('CERTIFICATE_NOT_VALID_NOW')
}

function isValidAt({ parsed }: Certificate, at: Date): boolean {
  return parsed.notBefore.getTime() <= at.getTime() && at.getTime() < parsed.notAfter.getTime()
}

function parseCertificate(der: Uint8Array): Certificate {
  if (der.byteLength > CERTIFICATE_BYTES_MAX) throw rejected('CERTIFICATE_NOT_TRUSTED')
  return { node: new NodeCertificate(der), parsed: new X509Certificate(new Uint8Array(der)) }
}
