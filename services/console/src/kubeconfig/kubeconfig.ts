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
 * A kubeconfig (clientcmd/api/v1) for one user and his clusters. Names are merge keys, of which kubectl
 * takes the first it finds: they carry the installation's name, stay the same between downloads, and
 * every cluster has a user entry of its own, so that a file of one cluster never stands in for the
 * token of another. The current context is only set where there is nothing to choose.
 */
export function renderKubeconfig(needs: {
  readonly organization: string
  readonly userName: string
  readonly token: string
  readonly gateway: GatewayAddress
  readonly clusterNames: readonly string[]
}): string {
  const { organization, userName, token, gateway, clusterNames } = needs
  const named = clusterNames.map((cluster) => ({
    name: `${organization}-${cluster}`,
    user: `${organization}-${userName}@${cluster}`,
    cluster,
  }))
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
    users: named.map(({ user }) => ({ name: user, user: { token } })),
    contexts: named.map(({ name, user }) => ({ name, context: { cluster: name, user } })),
    'current-context': named.length === 1 ? named[0]?.name : '',
  })
}
