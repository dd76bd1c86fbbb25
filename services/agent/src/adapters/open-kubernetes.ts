import type { TLSSocket } from 'node:tls'
import { parseHostPort } from '@postern/lifecycle'
import { dialKubernetes, type KubernetesServer } from '../upstream/dial-kubernetes.ts'
import { createUpstreamPool } from '../upstream/upstream-pool.ts'
import { createKubeClient, type KubeClient } from './kube-client.ts'
import { openServiceAccount } from './service-account.ts'

/** The cluster as the agent itself reaches it. */
export type Kubernetes = {
  readonly client: KubeClient
  /** As it stands in requests to kube-apiserver. */
  readonly host: string
  /** The agent's own namespace. */
  readonly namespace: string
  /** A connection of one's own. */
  readonly dial: () => Promise<TLSSocket>
  readonly server: KubernetesServer
  close(): void
}

/** Apart from those for users, so that no number of watches keeps accounts from being removed. */
const OWN_CONNECTIONS_MAX = 64

/** @throws Error when this is not a pod with a service account */
export async function openKubernetes(config: {
  readonly serviceAccountDir: string
  readonly kubernetes: string
}): Promise<Kubernetes> {
  const account = await openServiceAccount(config.serviceAccountDir)
  const address = parseHostPort(config.kubernetes)
  const server = { ...address, secureContext: account.secureContext }
  const pool = createUpstreamPool({ server, connectionsMax: OWN_CONNECTIONS_MAX })
  const host = config.kubernetes
  return {
    client: createKubeClient({ pool, host, token: () => account.token() }),
    host,
    namespace: account.namespace,
    dial: () => dialKubernetes(server, { halfOpen: true }),
    server,
    close: () => pool.close(),
  }
}
