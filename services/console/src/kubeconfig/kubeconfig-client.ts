import { rejections } from '@postern/errors'
import { TokenServiceDefinition } from '@postern/proto/postern/identity/v1/token'
import { ClusterServiceDefinition } from '@postern/proto/postern/tunnelbroker/v1/cluster'
import type { RpcClients } from '@postern/rpc'
import { type GatewayAddress, renderKubeconfig } from './kubeconfig.ts'

const rejected = rejections({
  NO_CLUSTERS: [
    'failed_precondition',
    'no grant gives you anything on any cluster; ask an administrator for one',
  ],
})

const PAGE_SIZE = 1000
const PAGES_MAX = 20

/** Makes a kubeconfig with a token of its own, so that it can be revoked by itself. */
export function createKubeconfigs(needs: {
  clients: RpcClients
  /** Read at each download: a certificate's roots may change. */
  gateway: () => Promise<GatewayAddress>
  organization: string
}) {
  const { clients, organization } = needs
  const clusters = clients.of(ClusterServiceDefinition, 'tunnel-broker')
  const tokens = clients.of(TokenServiceDefinition, 'identity')

  async function usableClusters(userToken: string): Promise<string[]> {
    const names: string[] = []
    let pageToken = ''
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const request = { pageSize: PAGE_SIZE, pageToken }
      const response = await clusters.listClusters(request, { userToken })
      names.push(...response.clusters.map(({ name }) => name))
      pageToken = response.nextPageToken
      if (pageToken === '') break
    }
    return names
  }

  async function usableCluster(userToken: string, name: string): Promise<string> {
    const { cluster } = await clusters.getCluster({ cluster: name }, { userToken })
    if (cluster === undefined) throw new Error('tunnel-broker answered without a cluster')
    return cluster.name
  }

  /** One cluster, or all that the user may use. @throws Rejection or RpcError */
  return async (userToken: string, clusterName: string | undefined): Promise<string> => {
    const clusterNames =
      clusterName === undefined
        ? await usableClusters(userToken)
        : [await usableCluster(userToken, clusterName)]
    if (clusterNames.length === 0) throw rejected('NO_CLUSTERS')
    const gateway = await needs.gateway()
    const { userName } = await tokens.whoAmI({}, { userToken })
    const { secret } = await tokens.issueToken({ description: 'kubeconfig' }, { userToken })
    return renderKubeconfig({ organization, userName, token: secret, gateway, clusterNames })
  }
}
