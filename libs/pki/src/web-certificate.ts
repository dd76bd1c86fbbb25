import { randomBytes } from 'node:crypto'
import { keyFromPem, keyToPem, newKeyPair, SIGNING } from './key-pair.ts'
import { certificatesToPem } from './pem.ts'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from './x509-library.ts'

/** What a web server shows to people's tools, and the authority that they are told to trust. PEM. */
export type WebCertificate = { readonly cert: string; readonly key: string; readonly ca: string }

// RFC 5280 section 4.1.2.2 wants a positive number: the first byte is below 0x80 and not zero.
const serialNumber = () => `4${randomBytes(16).toString('hex').slice(1)}`
const BACKDATE_MS = 60_000

/**
 * A certificate for an installation without one from a public authority. The authority is made for
 * this one certificate and its key is not kept: nobody can issue another.
 */
export async function createWebCertificate(order: {
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
  readonly now: Date
  readonly lifeDays: number
}): Promise<WebCertificate> {
  const validity = {
    notBefore: new Date(order.now.getTime() - BACKDATE_MS),
    notAfter: new Date(order.now.getTime() + order.lifeDays * 86_400_000),
    signingAlgorithm: SIGNING,
  }
  const authorityKeys = await newKeyPair()
  const authority = await X509CertificateGenerator.createSelfSigned({
    ...validity,
    serialNumber: serialNumber(),
    name: 'CN=Postern local web authority',
    keys: authorityKeys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(authorityKeys.publicKey),
    ],
  })
  const keys = await newKeyPair()
  const leaf = await X509CertificateGenerator.create({
    ...validity,
    serialNumber: serialNumber(),
    subject: 'O=Postern',
    issuer: authority.subjectName,
    publicKey: keys.publicKey,
    signingKey: await keyFromPem(keyToPem(authorityKeys.privateKey)),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([
        ...order.dnsNames.map((value) => ({ type: 'dns', value }) as const),
        ...order.ipAddresses.map((value) => ({ type: 'ip', value }) as const),
      ]),
      await AuthorityKeyIdentifierExtension.create(authorityKeys.publicKey),
    ],
  })
  const ca = toPem(authority)
  return { cert: toPem(leaf) + ca, key: keyToPem(keys.privateKey), ca }
}

function toPem(certificate: X509Certificate): string {
  return certificatesToPem([new Uint8Array(certificate.rawData)])
}
