import { sha256 } from '@postern/pki'
import type { TestAuthority } from '@postern/pki/testing'
import { AuditServiceDefinition } from '@postern/proto/postern/audit/v1/audit'
import { EventLogServiceDefinition } from '@postern/proto/postern/eventlog/v1/event_log'
import { GroupServiceDefinition } from '@postern/proto/postern/identity/v1/group'
import { TokenServiceDefinition } from '@postern/proto/postern/identity/v1/token'
import { UserServiceDefinition } from '@postern/proto/postern/identity/v1/user'
import { GrantServiceDefinition } from '@postern/proto/postern/policy/v1/grant'
import { RoleServiceDefinition } from '@postern/proto/postern/policy/v1/role'
import { SessionServiceDefinition } from '@postern/proto/postern/session/v1/session'
import { ClusterServiceDefinition } from '@postern/proto/postern/tunnelbroker/v1/cluster'
import {
  type Call,
  createRpcServer,
  type EndUser,
  type RpcRegistration,
  type RpcServer,
  register,
} from '@postern/rpc'
import { createLog, createMetrics } from '@postern/telemetry'

const silent = createLog({ name: 'test', level: 'silent' })

export const ADMIN = 'ptk_administrator'
export const NOBODY = 'ptk_expired'

const admin: EndUser = {
  userId: '01900000-0000-7000-8000-000000000001',
  userName: 'root',
  groupIds: [],
  platformRole: 'administrator',
  tokenId: '01900000-0000-7000-8000-000000000002',
}

/** An RPC that arrived: "postern.policy.v1.GrantService/CreateGrant". */
export type Arrived = { rpc: string; request: Record<string, unknown>; call: Call }

/** What the test says to an RPC; `undefined` leaves it to an empty answer. */
export type Answers = (arrived: Arrived) => Promise<object | undefined> | object | undefined

const SERVED = {
  identity: [UserServiceDefinition, GroupServiceDefinition, TokenServiceDefinition],
  policy: [RoleServiceDefinition, GrantServiceDefinition],
  session: [SessionServiceDefinition],
  'tunnel-broker': [ClusterServiceDefinition],
  audit: [AuditServiceDefinition],
} as const

type ServiceName = keyof typeof SERVED

/**
 * The five services with their real RPC servers, access checks and proto, and with answers that the
 * test gives: what is tested here is the console.
 */
export async function startFakeServices(authority: TestAuthority) {
  const arrived: Arrived[] = []
  let answers: Answers = () => undefined
  const record = async (one: Arrived) => {
    arrived.push(one)
    return (await answers(one)) ?? {}
  }
  const servers = new Map<ServiceName, RpcServer>()
  for (const name of ['identity', 'policy', 'session', 'tunnel-broker', 'audit'] as const) {
    const definitions = [...SERVED[name], EventLogServiceDefinition]
    const server = await createRpcServer({
      identity: await authority.identity(`service/${name}`),
      trustDomain: authority.trustDomain,
      listen: '127.0.0.1:0',
      registrations: definitions.map((definition) => recording(definition, record)),
      authenticateUser: async (hash) => (hash.equals(sha256(ADMIN)) ? admin : undefined),
      clientCertificates: 'required',
      log: silent,
      metrics: createMetrics(name),
    })
    servers.set(name, server)
  }
  const of = (name: ServiceName) => {
    const server = servers.get(name)
    if (server === undefined) throw new Error(`${name} was not started`)
    return server
  }
  return {
    arrived,
    answer(next: Answers) {
      answers = next
    },
    address: (name: ServiceName) => of(name).address,
    stopOne: async (name: ServiceName) => await of(name).close(0),
    async stop() {
      for (const server of servers.values()) await server.close(0)
    },
  }
}

type AnyDefinition = {
  readonly fullName: string
  readonly methods: Readonly<Record<string, { readonly name: string }>>
}

function recording(
  definition: AnyDefinition,
  record: (arrived: Arrived) => Promise<object>,
): RpcRegistration {
  const handlers = Object.fromEntries(
    Object.entries(definition.methods).map(([method, { name }]) => [
      method,
      async (request: Record<string, unknown>, { call }: { call: Call }) =>
        await record({ rpc: `${definition.fullName}/${name}`, request, call }),
    ]),
  )
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- one handler for every RPC there is
  return register(definition as typeof UserServiceDefinition, handlers as never)
}
