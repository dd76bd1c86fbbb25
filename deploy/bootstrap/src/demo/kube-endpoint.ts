import type { Kubectl } from './kubectl.ts'

/** Where a kubeconfig's current context leads, as an agent outside of the cluster needs it. */
export type KubeEndpoint = {
  readonly context: string
  /** "host:port". */
  readonly address: string
  /** What its certificate is checked against, PEM. */
  readonly ca: string
}

/** @throws Error when an agent could not reach the cluster this way */
export async function readKubeEndpoint(kubectl: Kubectl): Promise<KubeEndpoint> {
  const view = ['config', 'view', '--raw', '--minify', '--flatten', '-o', 'json']
  const { ca, ...endpoint } = parseKubeEndpoint(await kubectl.ok(view))
  if (ca !== undefined) return { ...endpoint, ca }
  // Every cluster publishes its own, for pods.
  const jsonPath = '-o=jsonpath={.data.ca\\.crt}'
  const published = ['get', 'configmap', 'kube-root-ca.crt', '-n', 'default', jsonPath]
  return { ...endpoint, ca: await kubectl.ok(published) }
}

/** `ca` is `undefined` where the kubeconfig leaves the certificate to public authorities. */
export function parseKubeEndpoint(
  text: string,
): Omit<KubeEndpoint, 'ca'> & { readonly ca: string | undefined } {
  const context = textAt(JSON.parse(text), ['current-context'])
  const cluster = at(JSON.parse(text), ['clusters', '0', 'cluster'])
  const server = textAt(cluster, ['server'])
  if (context === undefined || server === undefined) {
    throw new Error('the kubeconfig has no current context with a cluster')
  }
  for (const setting of ['proxy-url', 'tls-server-name', 'insecure-skip-tls-verify']) {
    const value = at(cluster, [setting])
    if (value === undefined || value === false || value === '') continue
    throw new Error(
      `the kubeconfig has ${setting}, which Postern's agent does not know: give one without it`,
    )
  }
  const url = new URL(server)
  if (url.protocol !== 'https:' || url.pathname !== '/') {
    throw new Error(`the agent reaches https://host:port alone, and the kubeconfig has ${server}`)
  }
  const encoded = textAt(cluster, ['certificate-authority-data'])
  const ca = encoded === undefined ? undefined : Buffer.from(encoded, 'base64').toString()
  return { context, address: `${url.hostname}:${url.port === '' ? '443' : url.port}`, ca }
}

/** A name for the cluster: of what names may have, and never that of the demo cluster. */
export function clusterNameFor(context: string): string {
  const name = context
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 40)
    .replaceAll(/-+$/g, '')
  return `outside-${name === '' ? 'cluster' : name}`
}

function textAt(value: unknown, path: readonly string[]): string | undefined {
  const found = at(value, path)
  return typeof found === 'string' && found !== '' ? found : undefined
}

function at(value: unknown, path: readonly string[]): unknown {
  const [name, ...rest] = path
  if (name === undefined) return value
  if (typeof value !== 'object' || value === null) return undefined
  return at(new Map(Object.entries(value)).get(name), rest)
}
