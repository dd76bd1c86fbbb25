import { createIntermediate, createRoot, openIssuer } from './authority.ts'
import { createCsr } from './csr.ts'
import { certificatesFromPem } from './pem.ts'
import { toSpiffeId } from './spiffe-id.ts'
import {
  type StaticTlsIdentity,
  staticTlsIdentity,
  type TlsMaterial,
  toTlsMaterial,
} from './tls-identity.ts'

const DAY_SECONDS = 24 * 60 * 60

export type TestAuthority = {
  readonly trustDomain: string
  /** PEM of the root. */
  readonly ca: string
  /** What RenewCertificate answers. DER. */
  readonly issue: (
    csr: Uint8Array,
    path: string,
    options?: TestLeafOptions,
  ) => Promise<{ chain: Buffer[]; roots: Buffer[] }>
  /** A certificate for the SPIFFE path: `material('service/policy')`, `material('agent/c1/a1')`. */
  readonly material: (path: string, options?: TestLeafOptions) => Promise<TlsMaterial>
  readonly identity: (path: string, options?: TestLeafOptions) => Promise<StaticTlsIdentity>
}

export type TestLeafOptions = { now?: Date; lifeSeconds?: number; dnsNames?: readonly string[] }

/** A real root and intermediate of their own, for tests. */
export async function createTestAuthority(
  trustDomain = 'test.internal',
  now = new Date(),
): Promise<TestAuthority> {
  const root = await createRoot({ name: 'test root', now, lifeSeconds: 30 * DAY_SECONDS })
  const order = { name: 'test intermediate', now, lifeSeconds: 20 * DAY_SECONDS, root }
  const issuer = await openIssuer(await createIntermediate(order))
  const roots = certificatesFromPem(root.cert)

  const issue = async (csr: Uint8Array, path: string, options: TestLeafOptions = {}) => {
    const segments = path.split('/')
    const dnsNames = segments[0] === 'service' ? [`${segments[1]}.${trustDomain}`] : []
    const { chain } = await issuer.issueLeaf({
      csr,
      spiffeId: toSpiffeId(trustDomain, ...segments),
      dnsNames: options.dnsNames ?? dnsNames,
      now: options.now ?? now,
      lifeSeconds: options.lifeSeconds ?? 3600,
    })
    return { chain, roots }
  }
  const material = async (path: string, options: TestLeafOptions = {}) => {
    const { csr, key } = await createCsr()
    return toTlsMaterial({ ...(await issue(csr, path, options)), key })
  }
  return {
    trustDomain,
    ca: root.cert,
    issue,
    material,
    identity: async (path, options) => staticTlsIdentity(await material(path, options)),
  }
}
