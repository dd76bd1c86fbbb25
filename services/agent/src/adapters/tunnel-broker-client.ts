import {
  AgentServiceDefinition,
  type Namespace,
} from '@postern/proto/postern/tunnelbroker/v1/cluster'
import { createAnonymousClient, RpcError } from '@postern/rpc'
import type { ControlPlane } from './control-plane.ts'

/** DER. */
export type IssuedCertificate = {
  readonly chain: readonly Uint8Array[]
  readonly roots: readonly Uint8Array[]
}

export type AgentStatus = {
  readonly version: string
  readonly kubernetesVersion: string
  readonly problems: readonly string[]
  /** Left out while they are not known. */
  readonly namespaces?: readonly Namespace[]
}

/** tunnel-broker has removed the agent, or its cluster: only joining again helps. */
export class AgentRemovedError extends Error {
  override readonly name = 'AgentRemovedError'
}

const JOIN_MS = 10_000

/** Redeems a join token through one relay. @throws RpcError */
export async function join(order: {
  readonly relay: string
  readonly trustDomain: string
  /** Roots, PEM. */
  readonly ca: string
  readonly joinToken: string
  readonly csr: Buffer
}): Promise<IssuedCertificate & { readonly clusterId: string; readonly agentId: string }> {
  const { relay, trustDomain, ca, joinToken, csr } = order
  const { client, close } = createAnonymousClient({
    definition: AgentServiceDefinition,
    address: relay,
    serverName: `join.${trustDomain}`,
    serverSpiffeId: `spiffe://${trustDomain}/service/tunnel-broker`,
    ca,
  })
  try {
    return await client.join({ joinToken, csr }, { deadlineMs: JOIN_MS })
  } finally {
    close()
  }
}

export function createTunnelBrokerClient(controlPlane: ControlPlane) {
  return {
    async renew(csr: Buffer): Promise<IssuedCertificate> {
      return await controlPlane.call(
        async (clients) =>
          await clients.of(AgentServiceDefinition, 'tunnel-broker').renew({ csr }).catch(told),
      )
    },

    async reportStatus(status: AgentStatus): Promise<void> {
      const { namespaces, problems, ...rest } = status
      const request = {
        ...rest,
        problems: [...problems],
        namespaces: [...(namespaces ?? [])],
        namespacesListed: namespaces !== undefined,
      }
      await controlPlane.call(
        async (clients) =>
          await clients
            .of(AgentServiceDefinition, 'tunnel-broker')
            .reportStatus(request)
            .catch(told),
      )
    },

    /** Each configuration as it comes, until the signal. Reconnects by itself. @throws AgentRemovedError */
    async watchConfiguration(
      onRelays: (relays: readonly string[]) => void,
      signal: AbortSignal,
    ): Promise<void> {
      await controlPlane.follow('configuration', signal, async (clients, { alive, attempt }) => {
        const client = clients.of(AgentServiceDefinition, 'tunnel-broker')
        try {
          for await (const { relayAddresses } of client.watchConfiguration(
            {},
            { signal: attempt },
          )) {
            alive()
            onRelays(relayAddresses)
          }
        } catch (error) {
          told(error)
        }
      })
    },
  }
}

function told(error: unknown): never {
  if (error instanceof RpcError && error.reason === 'AGENT_REMOVED') {
    throw new AgentRemovedError(error.details, { cause: error })
  }
  throw error
}
