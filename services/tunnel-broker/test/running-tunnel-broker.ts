import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectBus } from '@postern/bus'
import { createDatabase, freePort, runStatement, startNats, until } from '@postern/fixtures'
import { newId } from '@postern/ids'
import { createCsr, writeIdentityFiles } from '@postern/pki'
import { createTestAuthority } from '@postern/pki/testing'
import { EventLogServiceDefinition } from '@postern/proto/postern/eventlog/v1/event_log'
import { UserKind } from '@postern/proto/postern/identity/events/v1/events'
import {
  AgentServiceDefinition,
  ClusterServiceDefinition,
  RelayServiceDefinition,
} from '@postern/proto/postern/tunnelbroker/v1/cluster'
import { createAnonymousClient, createRpcClients, type EndUser } from '@postern/rpc'
import { rebuildService, runService } from '@postern/service'
import { createLog } from '@postern/telemetry'
import { parseAllDocuments } from 'yaml'
import { tunnelBrokerService } from '../src/index.ts'
import { startOtherLogs } from './other-logs.ts'

/** The service's clock is moved by hours. */
const LONG = { lifeSeconds: 20 * 3600 }

const log = createLog({ name: 'test', level: 'silent' })

/** tunnel-broker on real servers of its own, beside the logs that it follows. */
export async function runTunnelBroker({ postgresUrl }: { postgresUrl: string }) {
  const authority = await createTestAuthority()
  const { trustDomain } = authority
  const nats = await startNats()
  const bus = connectBus({ url: nats.url, name: 'test', log })
  const others = await startOtherLogs({ postgresUrl, bus, authority })
  const tlsDir = await mkdtemp(join(tmpdir(), 'postern-tunnel-broker-'))
  await writeIdentityFiles(tlsDir, await authority.material('service/tunnel-broker', LONG))
  // It follows its own log as any other, so its address is known before it listens.
  const address = `127.0.0.1:${await freePort()}`
  const joinAddress = `127.0.0.1:${await freePort()}`
  const env = {
    POSTERN_TRUST_DOMAIN: trustDomain,
    POSTERN_NATS_URL: nats.url,
    POSTERN_IDENTITY_ADDRESS: others.identity.address,
    POSTERN_POLICY_ADDRESS: others.policy.address,
    POSTERN_TUNNEL_BROKER_ADDRESS: address,
    POSTERN_TUNNEL_BROKER_LISTEN: address,
    POSTERN_TUNNEL_BROKER_JOIN_LISTEN: joinAddress,
    POSTERN_TUNNEL_BROKER_TLS_DIR: tlsDir,
    POSTERN_TUNNEL_BROKER_DATABASE_URL: await createDatabase(postgresUrl),
  }
  let aheadMs = 0
  const now = () => new Date(Date.now() + aheadMs)
  const running = await runService(tunnelBrokerService, env, { log, now })
  await until(async () => (await running.ready()) === undefined)
  const closing: (() => void)[] = []
  const clientsAs = async (path: string) => {
    const clients = createRpcClients({
      identity: await authority.identity(path, LONG),
      trustDomain,
      addresses: { 'tunnel-broker': address },
      log,
    })
    closing.push(() => clients.close())
    return clients
  }
  const console = await clientsAs('service/console')
  const clusters = console.of(ClusterServiceDefinition, 'tunnel-broker')
  const anonymous = () => {
    const { client, close } = createAnonymousClient({
      definition: AgentServiceDefinition,
      address: joinAddress,
      serverName: `join.${trustDomain}`,
      serverSpiffeId: `spiffe://${trustDomain}/service/tunnel-broker`,
      ca: authority.ca,
    })
    closing.push(close)
    return client
  }
  const anyone = anonymous()
  const readers = await clientsAs('gateway/g1')

  async function createUser(userName: string, platformRole: EndUser['platformRole'] = 'none') {
    const userId = newId('user')
    const kind = UserKind.USER_KIND_HUMAN
    await others.identity.append(`user-${userId}`, {
      type: 'UserCreated',
      userId,
      name: userName,
      displayName: '',
      kind,
    })
    return { userId, as: others.signIn({ userId, userName, platformRole }) }
  }
  const root = (await createUser('root', 'administrator')).as

  return {
    address,
    joinAddress,
    authority,
    others,
    clusters,
    root,
    createUser,
    anyone,
    /** A connection of its own, as every agent that joins has. */
    anonymous,
    advance(seconds: number) {
      aheadMs += seconds * 1000
    },
    logs: console.of(EventLogServiceDefinition, 'tunnel-broker'),
    relay: async (id: string) =>
      (await clientsAs(`relay/${id}`)).of(RelayServiceDefinition, 'tunnel-broker'),
    agent: async (clusterId: string, agentId: string) =>
      (await clientsAs(`agent/${clusterId}/${agentId}`)).of(
        AgentServiceDefinition,
        'tunnel-broker',
      ),

    /** A join token, out of the manifest that holds it. */
    async joinToken(cluster: string): Promise<string> {
      const { manifest } = await clusters.createJoinManifest({ cluster }, root)
      for (const document of parseAllDocuments(manifest)) {
        const token: unknown = document.getIn(['stringData', 'token'])
        if (typeof token === 'string') return token
      }
      throw new Error('the manifest holds no join token')
    },

    async join(joinToken: string, client = anyone) {
      const { csr } = await createCsr()
      return await client.join({ joinToken, csr })
    },

    /** Types of the events of one cluster, in order. */
    async eventsOf(clusterId: string): Promise<string[]> {
      const reader = readers.of(EventLogServiceDefinition, 'tunnel-broker')
      const types: string[] = []
      for (let after = 0n; ; ) {
        const { events } = await reader.readEvents({ after })
        if (events.length === 0) return types
        for (const { pos, stream, type } of events) {
          after = pos
          if (stream === `cluster-${clusterId}`) types.push(type.split('.').at(-1) ?? '')
        }
      }
    },

    rebuild: async () =>
      await rebuildService(tunnelBrokerService, env, { verify: true, say: () => undefined }),

    /** As if the agent had joined, and been heard of, long ago. */
    async age(agentId: string, days: number) {
      const past = new Date(Date.now() - days * 24 * 3_600_000).toISOString()
      const url = env.POSTERN_TUNNEL_BROKER_DATABASE_URL
      const agents = 'update tunnel_broker.agents set joined_at = $1 where agent_id = $2'
      await runStatement(url, agents, [past, agentId])
      const statuses = 'update tunnel_broker.agent_status set last_seen_at = $1 where agent_id = $2'
      await runStatement(url, statuses, [past, agentId])
    },

    async stop() {
      for (const close of closing.splice(0)) close()
      await running.stop()
      await others.stop()
      await bus.close()
      await nats.stop()
      await rm(tlsDir, { recursive: true, force: true })
    },
  }
}

export type RunningTunnelBroker = Awaited<ReturnType<typeof runTunnelBroker>>
