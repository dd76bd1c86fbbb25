import { readFile } from 'node:fs/promises'
import { createReplica } from '@postern/replica'
import { createRpcServer, type RpcServer } from '@postern/rpc'
import type { Composed, Runtime } from '@postern/service'
import { createIssueAgentCertificate } from './adapters/identity-client.ts'
import { createUsableClusters } from './adapters/replica-usable-clusters.ts'
import { createAgentRpc } from './agent/agent-rpc.ts'
import { createAgentStatusStore } from './agent/agent-status.ts'
import { createJoin } from './agent/join.ts'
import { createChanges } from './changes.ts'
import { createClusterRepository } from './cluster/cluster-repository.ts'
import { createClusterRpc } from './cluster/cluster-rpc.ts'
import { createRenderJoinManifest } from './cluster/join-manifest.ts'
import type { TunnelBrokerConfig } from './config.ts'
import type { TunnelBrokerDatabase } from './database.ts'
import { createRelayRepository } from './relay/relay-repository.ts'
import { createRelayRpc } from './relay/relay-rpc.ts'
import type { TunnelBrokerEvent } from './tunnel-broker-codec.ts'

type TunnelBrokerRuntime = Runtime<TunnelBrokerConfig, TunnelBrokerDatabase, TunnelBrokerEvent>

export async function composeTunnelBroker({
  config,
  trustDomain,
  db,
  store,
  identity,
  clients,
  log,
  metrics,
  now,
}: TunnelBrokerRuntime): Promise<Composed> {
  const replica = createReplica({ clients, log })
  const clusters = createClusterRepository({ db, store })
  const agents = createAgentStatusStore({ db })
  const relays = createRelayRepository({ db, store })
  const issueCertificate = createIssueAgentCertificate(clients)
  const renderManifest = createRenderJoinManifest({
    template: await readFile(config.manifestFile, 'utf8'),
    relayAddresses: () => relays.agentAddresses(),
    roots: () => identity.current().ca,
    trustDomain,
    agentImage: config.agentImage,
  })
  const usable = createUsableClusters(replica)
  const changes = createChanges()
  const join = createJoin({ db, store, clusters, agents, issueCertificate, now })
  const agentRpc = createAgentRpc({
    clusters,
    agents,
    relays,
    changes,
    join,
    issueCertificate,
    now,
  })
  let joinServer: RpcServer | undefined

  return {
    rpc: [
      createClusterRpc({ clusters, agents, store, usable, renderManifest, now }),
      createRelayRpc({ relays, changes }),
      agentRpc,
    ],
    async start() {
      replica.start()
      joinServer = await createRpcServer({
        identity,
        trustDomain,
        listen: config.joinListen,
        registrations: [agentRpc],
        authenticateUser: () => Promise.resolve(undefined),
        clientCertificates: 'none',
        log,
        metrics,
        now,
      })
      joinServer.setHealthy(true)
      log.info({ join: joinServer.address }, 'agents can join')
    },
    async ready() {
      return replica.caughtUp ? undefined : 'reading the logs of identity and policy'
    },
    async stop() {
      await joinServer?.close()
      await replica.stop()
    },
  }
}
