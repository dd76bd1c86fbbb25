import { createHash } from 'node:crypto'
import { createTestAuthority } from '@postern/pki/testing'
import { EventLogServiceDefinition } from '@postern/proto/postern/eventlog/v1/event_log'
import { TokenServiceDefinition } from '@postern/proto/postern/identity/v1/token'
import { AgentSessionServiceDefinition } from '@postern/proto/postern/session/v1/session'
import { AgentServiceDefinition } from '@postern/proto/postern/tunnelbroker/v1/cluster'
import {
  type Call,
  type ClientCertificates,
  createRpcClients,
  createRpcServer,
  type EndUser,
  register,
} from '@postern/rpc'
import { createMetrics } from '@postern/telemetry'
import { createMemoryLog } from '@postern/telemetry/testing'

export const UNPRIVILEGED_TOKEN = 'ptk_unprivileged'
export const ADMINISTRATOR_TOKEN = 'ptk_administrator'

const USERS: Readonly<Record<string, EndUser>> = {
  [UNPRIVILEGED_TOKEN]: userOf('u-none', 'none'),
  [ADMINISTRATOR_TOKEN]: userOf('u-admin', 'administrator'),
}

/** What a handler of the fixture does: the test decides. */
export type Behaviour = (call: Call, rpc: string) => Promise<void>

/** A real server for a few of the real proto services, with handlers that only report their caller. */
export async function startFixture(
  options: {
    behaviour?: Behaviour
    now?: () => Date
    clientCertificates?: ClientCertificates
    serverPath?: string
  } = {},
) {
  const authority = await createTestAuthority()
  const { trustDomain } = authority
  const identity = await authority.identity(options.serverPath ?? 'service/identity')
  const log = createMemoryLog()
  const metrics = createMetrics('identity')
  const calls: { rpc: string; call: Call }[] = []

  const registrations = registrationsOf(async (rpc, call) => {
    calls.push({ rpc, call })
    await options.behaviour?.(call, rpc)
  })
  const server = await createRpcServer({
    identity,
    trustDomain,
    listen: '127.0.0.1:0',
    registrations,
    authenticateUser: async (hash) =>
      Object.entries(USERS).find(([token]) => sha256(token).equals(hash))?.[1],
    clientCertificates: options.clientCertificates ?? 'required',
    log,
    metrics,
    ...(options.now === undefined ? {} : { now: options.now }),
  })
  const opened: { close(): void }[] = []
  const clientsAs = async (path: string, from = authority) => {
    const clients = createRpcClients({
      identity: await from.identity(path),
      trustDomain,
      addresses: { identity: server.address, session: server.address },
      log,
    })
    opened.push(clients)
    return clients
  }
  return {
    authority,
    identity,
    server,
    registrations,
    calls,
    log,
    metrics,
    clientsAs,
    tokensAs: async (path: string) =>
      (await clientsAs(path)).of(TokenServiceDefinition, 'identity'),
    [Symbol.asyncDispose]: async () => {
      for (const clients of opened) clients.close()
      await server.close(200)
    },
  }
}

function registrationsOf(report: (rpc: string, call: Call) => Promise<void>) {
  const answering =
    <Response>(rpc: string, response: Response) =>
    async (_request: unknown, { call }: { call: Call }) => {
      await report(rpc, call)
      return response
    }
  const token = { secret: '', token: undefined }
  return [
    register(TokenServiceDefinition, {
      setUp: answering('setUp', token),
      login: answering('login', token),
      logout: answering('logout', {}),
      whoAmI: async (_request, { call }) => {
        await report('whoAmI', call)
        return { userId: call.user?.userId ?? '' }
      },
      issueToken: answering('issueToken', token),
      listTokens: answering('listTokens', {}),
      revokeToken: answering('revokeToken', {}),
      authenticateToken: answering('authenticateToken', {}),
    }),
    register(EventLogServiceDefinition, {
      readEvents: answering('readEvents', { epoch: 'e', head: 0n, events: [] }),
      async *followEvents(_request, { call }) {
        await report('followEvents', call)
        yield { epoch: 'e', head: 0n, afterId: '', events: [] }
      },
      async *holdLease(_requests, { call }) {
        await report('holdLease', call)
        yield {}
      },
      renewLease: answering('renewLease', {}),
      rebuild: answering('rebuild', { projections: [] }),
    }),
    register(AgentSessionServiceDefinition, {
      async *watchAccounts(_request, { call }) {
        await report('watchAccounts', call)
        yield { message: { $case: 'synced' as const, value: true } }
        await new Promise((_resolve, reject) => {
          const end = () => reject(call.signal.reason)
          if (call.signal.aborted) end()
          call.signal.addEventListener('abort', end)
        })
      },
      reportAccount: answering('reportAccount', {}),
    }),
    register(AgentServiceDefinition, {
      join: answering('join', {}),
      async *watchConfiguration(_request, { call }) {
        await report('watchConfiguration', call)
        yield {}
      },
      renew: answering('renew', {}),
      reportStatus: answering('reportStatus', {}),
    }),
  ]
}

function userOf(userId: string, platformRole: EndUser['platformRole']): EndUser {
  return { userId, userName: userId, groupIds: [], platformRole, tokenId: `t-${userId}` }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
