const CERTIFICATE = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----/g
const CERTIFICATES_MAX = 32

/** DER of each certificate in the text, in order. At most 32. */
export function certificatesFromPem(pem: string): Buffer[] {
  const ders = [...pem.matchAll(CERTIFICATE)].map((match) => Buffer.from(match[1] ?? '', 'base64'))
  if (ders.length > CERTIFICATES_MAX) throw new Error('too many certificates in one PEM text')
  return ders
}

/** One PEM text of all the certificates, in order. */
export function certificatesToPem(ders: readonly Uint8Array[]): string {
  return ders.map((der) => toPem('CERTIFICATE', der)).join('')
}

function toPem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}
