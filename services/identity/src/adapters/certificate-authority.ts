import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { certificatesFromPem, certificatesToPem, openIssuer } from '@postern/pki'

export type CertificateAuthority = {
  /** For at most 24 hours. All DER. @throws Rejection when the CSR is not one */
  issue(order: { csr: Uint8Array; spiffeId: string; dnsNames: readonly string[] }): Promise<Issued>
  readonly roots: readonly Buffer[]
}

export type Issued = { chain: Buffer[]; roots: Buffer[]; notAfter: Date }

const LIFE_SECONDS = 24 * 60 * 60

/**
 * Opens the intermediate authority in a folder: ca.key, ca.crt (its certificate first) and roots.crt.
 * The root's key is not there: it stays off line.
 *
 * @throws Error that names the file that is missing or wrong
 */
export async function openCertificateAuthority({
  dir,
  now,
}: {
  dir: string
  now: () => Date
}): Promise<CertificateAuthority> {
  const [own, ...above] = certificatesFromPem(await read(dir, 'ca.crt'))
  const roots = certificatesFromPem(await read(dir, 'roots.crt'))
  if (own === undefined) throw new Error(`${join(dir, 'ca.crt')} holds no certificate`)
  if (roots.length === 0) throw new Error(`${join(dir, 'roots.crt')} holds no certificate`)
  const issuer = await openIssuer({
    cert: certificatesToPem([own]),
    key: await read(dir, 'ca.key'),
  })
  return {
    roots,
    async issue(order) {
      const leaf = await issuer.issueLeaf({ ...order, now: now(), lifeSeconds: LIFE_SECONDS })
      return { chain: [...leaf.chain, ...above], roots, notAfter: leaf.notAfter }
    },
  }
}

async function read(dir: string, name: string): Promise<string> {
  try {
    return await readFile(join(dir, name), 'utf8')
  } catch (cause) {
    throw new Error(
      `reading ${name} of the certificate authority in ${dir}; set POSTERN_IDENTITY_CA_DIR to its folder`,
      { cause },
    )
  }
}
