import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  certificatesToPem,
  createCsr,
  openIssuer,
  readIdentityFiles,
  spiffeIdOfLeaf,
  writeIdentityFiles,
} from '@postern/pki'

/** The moment of renewal is spread over a twentieth of it; servers give connections half an hour, which the rest has to outlast. */
const LIFE_SECONDS = 2 * 3600

/** Replaces the certificate in a folder by one of which two thirds are over in a moment: it is renewed then. */
export async function ageCertificate(order: {
  readonly tlsDir: string
  readonly caDir: string
  readonly renewedInSeconds: number
}): Promise<void> {
  const { tlsDir, caDir, renewedInSeconds } = order
  const { cert, ca } = await readIdentityFiles(tlsDir)
  const leaf = new X509Certificate(cert)
  const names = [...(leaf.subjectAltName ?? '').matchAll(/DNS:([^,\s]+)/g)]
  const issuer = await openIssuer({
    cert: readFileSync(join(caDir, 'ca.crt'), 'utf8'),
    key: readFileSync(join(caDir, 'ca.key'), 'utf8'),
  })
  const { csr, key } = await createCsr()
  const { chain, notAfter } = await issuer.issueLeaf({
    csr,
    spiffeId: spiffeIdOfLeaf(leaf.raw),
    dnsNames: names.map(([, name = '']) => name),
    now: new Date(Date.now() - ((LIFE_SECONDS * 2) / 3 - renewedInSeconds) * 1000),
    lifeSeconds: LIFE_SECONDS,
  })
  await writeIdentityFiles(tlsDir, { cert: certificatesToPem(chain), key, ca, notAfter })
}
