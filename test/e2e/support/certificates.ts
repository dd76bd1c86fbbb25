import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  certificatesToPem,
  createCsr,
  createIntermediate,
  createRoot,
  openIssuer,
  type StoredAuthority,
} from '@postern/pki'
import type { E2eWorld } from './e2e-world.ts'

export type Credentials = { readonly cert: string; readonly key: string }

const TRUST_DOMAIN = 'postern.internal'
const HOUR_SECONDS = 3600

/** The installation's own authority: what a thief of its key could make. */
export function installationAuthority({ platform }: Pick<E2eWorld, 'platform'>): StoredAuthority {
  const read = (name: string) => readFileSync(join(platform.secrets.caDir, name), 'utf8')
  return { cert: read('ca.crt'), key: read('ca.key') }
}

/** Roots of the installation, PEM. */
export function installationRoots({ platform }: Pick<E2eWorld, 'platform'>): string {
  return readFileSync(join(platform.secrets.caDir, 'roots.crt'), 'utf8')
}

/** An authority of somebody else's, with names that look the same. */
export async function foreignAuthority(): Promise<{ authority: StoredAuthority; roots: string }> {
  const now = new Date()
  const lifeSeconds = 24 * HOUR_SECONDS
  const root = await createRoot({ name: 'Postern root', now, lifeSeconds })
  const authority = await createIntermediate({ name: 'Postern identity', root, now, lifeSeconds })
  return { authority, roots: root.cert }
}

/** A leaf with the SPIFFE ID of that path: "service/console", "agent/<cluster>/<agent>". */
export async function certificateOf(
  authority: StoredAuthority,
  path: string,
  { now = new Date(), lifeSeconds = HOUR_SECONDS }: { now?: Date; lifeSeconds?: number } = {},
): Promise<Credentials> {
  const issuer = await openIssuer(authority)
  const { csr, key } = await createCsr()
  const spiffeId = `spiffe://${TRUST_DOMAIN}/${path}`
  const { chain } = await issuer.issueLeaf({ csr, spiffeId, dnsNames: [], now, lifeSeconds })
  return { cert: certificatesToPem(chain), key }
}
