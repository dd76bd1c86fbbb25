import { stringify } from 'yaml'

/** Where gateways are, as kubectl reaches them. */
export type GatewayAddress = {
  /** "https://gateway.example.com:443". */
  readonly url: URL
  /** Host names per cluster, or one host and a path per cluster. */
  readonly addressing: 'host' | 'path'
  /** PEM, where the certificate is not from a public authority. */
  readonly ca: string | undefined
}

/** The `server` of a cluster. Tools key their caches by it, so every cluster has its own. */
export function serverOf({ url, addressing }: GatewayAddress, clusterName: string): string {
  const port = url.port === '' ? '' : `:${url.port}`
  return addressing === 'host'
    ? `https://${clusterName}.${url.hostname}${port}`
    : `https://${url.hostname}${port}/clusters/${clusterName}`
}

/**
 * A kubeconfig (clientcmd/api/v1) for one user and his clusters. Names are merge keys, so they carry the
 * installation's name and stay the same between downloads. The current context is only set where there
 * is nothing to choose.
 */
export function renderKubeconfig(needs: {
  readonly organization: string
  readonly userName: string
  readonly token: string
  readonly gateway: GatewayAddress
  readonly clusterNames: readonly string[]
}): string {
  const { organization, userName, token, gateway, clusterNames } = needs
  const user = `${organization}-${userName}`
  const named = clusterNames.map((name) => ({ name: `${organization}-${name}`, cluster: name }))
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: named.map(({ name, cluster }) => ({
      name,
      cluster: {
        server: serverOf(gateway, cluster),
        ...(gateway.ca === undefined
          ? {}
          : { 'certificate-authority-data': Buffer.from(gateway.ca).toString('base64') }),
      },
    })),
    users: [{ name: user, user: { token } }],
    contexts: named.map(({ name }) => ({ name, context: { cluster: name, user } })),
    'current-context': named.length === 1 ? named[0]?.name : '',
  })
}
