import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectBus } from '@postern/bus'
import { createDatabase, startNats, until } from '@postern/fixtures'
import { newId } from '@postern/ids'
import { writeIdentityFiles } from '@postern/pki'
import { createTestAuthority } from '@postern/pki/testing'
import { EventLogServiceDefinition } from '@postern/proto/postern/eventlog/v1/event_log'
import { UserKind } from '@postern/proto/postern/identity/events/v1/events'
import {
  AgentSessionServiceDefinition,
  SessionServiceDefinition,
} from '@postern/proto/postern/session/v1/session'
import { InstallLevel } from '@postern/proto/postern/tunnelbroker/events/v1/events'
import { createRpcClients, type EndUser } from '@postern/rpc'
import { type RunningService, rebuildService, runService } from '@postern/service'
import { createLog } from '@postern/telemetry'
import { sessionService } from '../src/index.ts'
import { startCuttableProxy } from './cuttable-proxy.ts'
import { startOtherLogs } from './other-logs.ts'

const log = createLog({ name: 'test', level: 'silent' })

export const VIEW_PODS = {
  verbs: ['get', 'list', 'watch'],
  apiGroups: [''],
  resources: ['pods'],
  resourceNames: [],
  nonResourceUrls: [],
}
export const EDIT_PODS = { ...VIEW_PODS, verbs: ['get', 'create', 'delete'] }

/** The session service on real servers of its own, beside the logs that it follows. */
export async function runSession(options: {
  postgresUrl: string
  settings?: Readonly<Record<string, string>>
}) {
  const { postgresUrl } = options
  const authority = await createTestAuthority()
  const { trustDomain } = authority
  const nats = await startNats()
  const bus = connectBus({ url: nats.url, name: 'test', log })
  const others = await startOtherLogs({ postgresUrl, bus, authority })
  const { identity, policy, tunnelBroker } = others
  const tlsDir = await mkdtemp(join(tmpdir(), 'postern-session-'))
  await writeIdentityFiles(tlsDir, await authority.material('service/session'))
  const databaseUrl = new URL(await createDatabase(postgresUrl))
  const database = await startCuttableProxy({
    host: databaseUrl.hostname,
    port: Number(databaseUrl.port || 5432),
  })
  databaseUrl.hostname = '127.0.0.1'
  databaseUrl.port = String(database.port)
  const env = {
    POSTERN_TRUST_DOMAIN: trustDomain,
    POSTERN_NATS_URL: nats.url,
    POSTERN_IDENTITY_ADDRESS: identity.address,
    POSTERN_POLICY_ADDRESS: policy.address,
    POSTERN_TUNNEL_BROKER_ADDRESS: tunnelBroker.address,
    POSTERN_SESSION_LISTEN: '127.0.0.1:0',
    POSTERN_SESSION_TLS_DIR: tlsDir,
    POSTERN_SESSION_DATABASE_URL: databaseUrl.toString(),
    POSTERN_SESSION_ACCOUNT_WAIT_SECONDS: '5',
    ...options.settings,
  }
  const lines: string[] = []
  const stream = { write: (line: string) => void lines.push(line) }
  const serviceLog = createLog({ name: 'session', level: 'warn', stream })
  let aheadMs = 0
  const now = () => new Date(Date.now() + aheadMs)
  let running: RunningService = await start()
  const closing: (() => void)[] = []

  async function start(): Promise<RunningService> {
    const started = await runService(sessionService, env, { log: serviceLog, now })
    await until(async () => (await started.ready()) === undefined)
    return started
  }

  const addressOf = () => {
    const { grpc } = running.addresses
    if (grpc === undefined) throw new Error('session serves no gRPC')
    return grpc
  }
  const clientsAs = async (path: string) => {
    const clients = createRpcClients({
      identity: await authority.identity(path),
      trustDomain,
      addresses: { session: addressOf() },
      log,
    })
    closing.push(() => clients.close())
    return clients
  }

  return {
    authority,
    others,
    /** The connection to the service's database. */
    database,
    get address() {
      return addressOf()
    },
    ready: async () => await running.ready(),
    /** Whether its log has a warning with these words. */
    warnedOf: (words: string) => lines.some((line) => line.includes(words)),
    /** Moves the service's clock. */
    advance(seconds: number) {
      aheadMs += seconds * 1000
    },
    now,
    rebuild: async () =>
      await rebuildService(sessionService, env, { verify: true, say: () => undefined }),
    /** As after a crash: whoever was connected connects again. */
    async restart() {
      for (const close of closing.splice(0)) close()
      await running.stop()
      running = await start()
    },
    gateway: async () => (await clientsAs('gateway/g1')).of(SessionServiceDefinition, 'session'),
    console: async () =>
      (await clientsAs('service/console')).of(SessionServiceDefinition, 'session'),
    logs: async (path: string) => (await clientsAs(path)).of(EventLogServiceDefinition, 'session'),
    agent: async (clusterId: string, agentId: string) =>
      (await clientsAs(`agent/${clusterId}/${agentId}`)).of(
        AgentSessionServiceDefinition,
        'session',
      ),

    async createUser(userName: string, platformRole: EndUser['platformRole'] = 'none') {
      const userId = newId('user')
      const kind = UserKind.USER_KIND_HUMAN
      await identity.append(`user-${userId}`, {
        type: 'UserCreated',
        userId,
        name: userName,
        displayName: '',
        kind,
      })
      return { userId, userName, as: others.signIn({ userId, userName, platformRole }) }
    },

    /** A cluster with one agent. */
    async createCluster(
      name: string,
      installLevel: InstallLevel = InstallLevel.INSTALL_LEVEL_EDIT,
    ) {
      const clusterId = newId('cluster')
      const agentId = newId('agent')
      await tunnelBroker.append(
        `cluster-${clusterId}`,
        { type: 'ClusterRegistered', clusterId, name, labels: {}, installLevel },
        { type: 'AgentJoined', clusterId, agentId },
      )
      return { clusterId, agentId }
    },

    async createRole(name: string, rules: (typeof VIEW_PODS)[]) {
      const roleId = newId('role')
      await policy.append(`role-${roleId}`, {
        type: 'RoleCreated',
        roleId,
        name,
        description: '',
        rules,
      })
      return roleId
    },

    async grant(userId: string, clusterId: string, roleId: string, until?: Date) {
      const grantId = newId('grant')
      await policy.append(`grant-${grantId}`, {
        type: 'GrantCreated',
        grantId,
        name: `grant-${grantId}`,
        terms: {
          subjects: [{ kind: 'user', id: userId }],
          roleId,
          clusters: { clusterIds: [clusterId] },
          namespaces: { all: false, names: ['shop'] },
          ...(until === undefined ? {} : { notAfter: until.toISOString() }),
        },
      })
      return grantId
    },

    async stopBus() {
      await nats.stop()
    },

    async stop() {
      for (const close of closing.splice(0)) close()
      await running.stop()
      await others.stop()
      await bus.close()
      await nats.stop()
      await database.stop()
      await rm(tlsDir, { recursive: true, force: true })
    },
  }
}

export type RunningSession = Awaited<ReturnType<typeof runSession>>
