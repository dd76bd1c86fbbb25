import { X509Certificate as NodeCertificate } from 'node:crypto'
import { rejections } from '@postern/errors'
import { isP256 } from './csr.ts'
import { parseSpiffeId } from './spiffe-id.ts'
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

/**
 * Checks that the leaf leads to one of the roots at the moment, and answers its SPIFFE ID.
 * All certificates are DER; the chain is leaf first and may leave the root out.
 * @throws Rejection CERTIFICATE_NOT_TRUSTED, CERTIFICATE_NOT_VALID_NOW, CERTIFICATE_NOT_A_LEAF
 */
export function verifyChain(order: {
  readonly chain: readonly Uint8Array[]
  readonly roots: readonly Uint8Array[]
  readonly at: Date
}): string {
  const { chain, roots, at } = order
  if (chain.length === 0 || chain.length > CHAIN_LENGTH_MAX) {
    throw rejected('CERTIFICATE_NOT_TRUSTED')
  }
  const certificates = chain.map(parseCertificate)
  const trusted = roots.map(parseCertificate)
  const [leaf, ...authorities] = certificates
  if (leaf === undefined) throw rejected('CERTIFICATE_NOT_TRUSTED')
  const spiffeId = spiffeIdOf(leaf)
  checkPath(leaf, authorities, trusted, at)
  return spiffeId
}

/**
 * The one SPIFFE ID of a leaf. Says nothing about whether the certificate is trusted.
 * @throws Rejection CERTIFICATE_NOT_A_LEAF
 */
export function spiffeIdOfLeaf(der: Uint8Array): string {
  return spiffeIdOf(parseCertificate(der))
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
  parseSpiffeId(uri.value)
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
  try {
    return { node: new NodeCertificate(der), parsed: new X509Certificate(new Uint8Array(der)) }
  } catch {
    throw rejected('CERTIFICATE_NOT_TRUSTED')
  }
}
