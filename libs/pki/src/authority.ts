import { randomBytes, type webcrypto } from 'node:crypto'
import { parseCsr } from './csr.ts'
import { keyFromPem, keyToPem, newKeyPair, SIGNING } from './key-pair.ts'
import { certificatesFromPem, certificatesToPem } from './pem.ts'
import { parseSpiffeId } from './spiffe-id.ts'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from './x509-library.ts'

/** A certificate authority as it is stored. The key is a secret. */
export type StoredAuthority = {
  /** PEM, own certificate. */
  readonly cert: string
  /** PKCS #8 PEM. */
  readonly key: string
}

export type LeafOrder = {
  /** PKCS #10, DER. Only its public key is used. */
  readonly csr: Uint8Array
  readonly spiffeId: string
  readonly dnsNames: readonly string[]
  readonly now: Date
  readonly lifeSeconds: number
}

/** DER, leaf first, then intermediates, without the root. */
export type IssuedLeaf = { readonly chain: Buffer[]; readonly notAfter: Date }

export type Issuer = {
  /** @throws Rejection INVALID_CSR, CSR_NOT_SIGNED, INVALID_SPIFFE_ID */
  issueLeaf(order: LeafOrder): Promise<IssuedLeaf>
}

const LEAF_SECONDS_MAX = 24 * 60 * 60
// Clocks of two machines differ a little.
const BACKDATE_MS = 60_000
const DNS_NAME =
  /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

type AuthorityOrder = { readonly name: string; readonly now: Date; readonly lifeSeconds: number }

/** A self-signed root that may only sign intermediates. */
export async function createRoot(order: AuthorityOrder): Promise<StoredAuthority> {
  const keys = await newKeyPair()
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...common(order),
    name: commonName(order.name),
    keys,
    extensions: [
      ...authorityExtensions(1),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return stored(certificate, keys)
}

/** An authority under a root that may only sign leaves. */
export async function createIntermediate(
  order: AuthorityOrder & { readonly root: StoredAuthority },
): Promise<StoredAuthority> {
  const keys = await newKeyPair()
  const root = certificateOf(order.root)
  const certificate = await X509CertificateGenerator.create({
    ...common(order),
    subject: commonName(order.name),
    issuer: root.subjectName,
    publicKey: keys.publicKey,
    signingKey: await keyFromPem(order.root.key),
    extensions: [
      ...authorityExtensions(0),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(root.publicKey),
    ],
  })
  return stored(certificate, keys)
}

/** Makes an authority ready to issue leaves. */
export async function openIssuer(authority: StoredAuthority): Promise<Issuer> {
  const issuer = certificateOf(authority)
  const signingKey = await keyFromPem(authority.key)
  const authorityKeyId = await AuthorityKeyIdentifierExtension.create(issuer.publicKey)
  return {
    async issueLeaf(order) {
      checkOrder(order, issuer.notAfter)
      const publicKey = await parseCsr(order.csr)
      const leaf = await X509CertificateGenerator.create({
        ...common(order),
        subject: 'O=Postern',
        issuer: issuer.subjectName,
        publicKey,
        signingKey,
        extensions: [
          new BasicConstraintsExtension(false, undefined, true),
          new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
          new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
          new SubjectAlternativeNameExtension([
            { type: 'url', value: order.spiffeId },
            ...order.dnsNames.map((value) => ({ type: 'dns', value }) as const),
          ]),
          await SubjectKeyIdentifierExtension.create(publicKey),
          authorityKeyId,
        ],
      })
      const chain = [Buffer.from(leaf.rawData), Buffer.from(issuer.rawData)]
      return { chain, notAfter: leaf.notAfter }
    },
  }
}

function checkOrder(order: LeafOrder, issuerNotAfter: Date): void {
  parseSpiffeId(order.spiffeId)
  const { lifeSeconds, dnsNames, now } = order
  if (!Number.isInteger(lifeSeconds) || lifeSeconds < 1 || lifeSeconds > LEAF_SECONDS_MAX) {
    throw new Error('a leaf certificate lives from one second to 24 hours')
  }
  const wrong = dnsNames.find((name) => !DNS_NAME.test(name))
  if (wrong !== undefined) throw new Error(`not a DNS name: ${wrong}`)
  if (issuerNotAfter.getTime() < now.getTime() + lifeSeconds * 1000) {
    throw new Error('the certificate authority ends before the certificate would; renew it first')
  }
}

function common({ now, lifeSeconds }: { now: Date; lifeSeconds: number }) {
  return {
    // Positive, and 127 random bits: RFC 5280 section 4.1.2.2.
    serialNumber: randomBytes(16)
      .toString('hex')
      .replace(/^[89a-f]/, '7')
      .replace(/^0/, '1'),
    notBefore: new Date(now.getTime() - BACKDATE_MS),
    notAfter: new Date(now.getTime() + lifeSeconds * 1000),
    signingAlgorithm: SIGNING,
  }
}

function authorityExtensions(pathLength: number) {
  return [
    new BasicConstraintsExtension(true, pathLength, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  ]
}

function stored(certificate: X509Certificate, keys: webcrypto.CryptoKeyPair): StoredAuthority {
  const cert = certificatesToPem([new Uint8Array(certificate.rawData)])
  return { cert, key: keyToPem(keys.privateKey) }
}

function certificateOf(authority: StoredAuthority): X509Certificate {
  const der = certificatesFromPem(authority.cert)[0]
  if (der === undefined) throw new Error('the certificate authority has no certificate')
  return new X509Certificate(new Uint8Array(der))
}

function commonName(name: string): string {
  if (!/^[A-Za-z0-9 ._-]{1,64}$/.test(name)) throw new Error(`not a name for an authority: ${name}`)
  return `CN=${name}`
}
