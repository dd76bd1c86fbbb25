import type { Bus } from '@postern/bus'
import { Rejection } from '@postern/errors'
import { type Decider, type DomainEvent, eventCodec, openEventLog } from '@postern/eventing'
import { createDatabase } from '@postern/fixtures'
import { newId } from '@postern/ids'
import { newSecret, sha256 } from '@postern/pki'
import type { TestAuthority } from '@postern/pki/testing'
import {
  GroupCreated,
  GroupMemberAdded,
  PlatformRole,
  UserCreated,
  UserKind,
} from '@postern/proto/postern/identity/events/v1/events'
import { TokenServiceDefinition } from '@postern/proto/postern/identity/v1/token'
import {
  ClusterRegistered,
  InstallLevel,
} from '@postern/proto/postern/tunnelbroker/events/v1/events'
import { createRpcServer, type EndUser, type RpcRegistration, register } from '@postern/rpc'
import { createLog, createMetrics } from '@postern/telemetry'

const silent = createLog({ name: 'test', level: 'silent' })

type Needs = { postgresUrl: string; bus: Bus; authority: TestAuthority }

const identityCodec = eventCodec('postern.identity.events.v1', {
  UserCreated,
  GroupCreated,
  GroupMemberAdded,
})
const tunnelBrokerCodec = eventCodec('postern.tunnelbroker.events.v1', { ClusterRegistered })

type IdentityEvent = NonNullable<ReturnType<typeof identityCodec.decode>>
type ClusterEvent = NonNullable<ReturnType<typeof tunnelBrokerCodec.decode>>

/** Appends what it is told to. */
function recorder<Event extends DomainEvent>(): Decider<null, readonly Event[], Event> {
  return { initial: null, decide: (events) => events, evolve: () => null }
}

/**
 * What policy hears of identity and tunnel-broker: real logs with their real events, served as they
 * serve them. A service imports no other service, so nothing else of them is here.
 */
export async function startOtherServices({ postgresUrl, bus, authority }: Needs) {
  const common = { projections: [], migrations: {}, bus, log: silent, now: () => new Date() }
  const identity = await openEventLog<object, IdentityEvent>({
    ...common,
    service: 'identity',
    codec: identityCodec,
    databaseUrl: await createDatabase(postgresUrl),
  })
  const tunnelBroker = await openEventLog<object, ClusterEvent>({
    ...common,
    service: 'tunnel-broker',
    codec: tunnelBrokerCodec,
    databaseUrl: await createDatabase(postgresUrl),
  })
  const people = new Map<string, EndUser>()

  const serve = async (name: string, registrations: readonly RpcRegistration[]) =>
    await createRpcServer({
      identity: await authority.identity(`service/${name}`),
      trustDomain: authority.trustDomain,
      listen: '127.0.0.1:0',
      registrations,
      authenticateUser: async () => undefined,
      clientCertificates: 'required',
      log: silent,
      metrics: createMetrics(name),
    })
  const servers = {
    identity: await serve('identity', [identity.registration, tokenService(people)]),
    tunnelBroker: await serve('tunnel-broker', [tunnelBroker.registration]),
  }
  await identity.start()
  await tunnelBroker.start()

  const actor = { by: 'system', cause: 'test' }
  const know = async (stream: string, ...events: IdentityEvent[]) => {
    const decider = recorder<IdentityEvent>()
    await identity.store.execute({ stream, decider, command: events, actor })
  }

  return {
    identityAddress: servers.identity.address,
    tunnelBrokerAddress: servers.tunnelBroker.address,

    /** Answers the user's id and how to call in the user's name. */
    async createUser(name: string, platformRole: EndUser['platformRole'] = 'none') {
      const userId = newId('user')
      const userToken = newSecret('ptk_')
      await know(`user-${userId}`, {
        type: 'UserCreated',
        userId,
        name,
        displayName: '',
        kind: UserKind.USER_KIND_HUMAN,
      })
      people.set(sha256(userToken).toString('hex'), {
        userId,
        userName: name,
        groupIds: [],
        platformRole,
        tokenId: newId('token'),
      })
      return { userId, as: { userToken } }
    },

    async createGroup(name: string, members: readonly string[]) {
      const groupId = newId('group')
      const platformRole = PlatformRole.PLATFORM_ROLE_UNSPECIFIED
      await know(
        `group-${groupId}`,
        { type: 'GroupCreated', groupId, name, platformRole },
        ...members.map((userId) => ({ type: 'GroupMemberAdded' as const, groupId, userId })),
      )
      return groupId
    },

    async registerCluster(name: string, labels: Record<string, string>) {
      const clusterId = newId('cluster')
      const installLevel = InstallLevel.INSTALL_LEVEL_ADMIN
      await tunnelBroker.store.execute({
        stream: `cluster-${clusterId}`,
        decider: recorder<ClusterEvent>(),
        command: [{ type: 'ClusterRegistered', clusterId, name, labels, installLevel }],
        actor,
      })
      return clusterId
    },

    async stop() {
      await Promise.all([servers.identity.close(0), servers.tunnelBroker.close(0)])
      await identity.stop()
      await tunnelBroker.stop()
    },
  }
}

function tokenService(people: ReadonlyMap<string, EndUser>): RpcRegistration {
  const absent = async (): Promise<never> => {
    throw new Error('not part of this test')
  }
  return register(TokenServiceDefinition, {
    setUp: absent,
    login: absent,
    logout: absent,
    whoAmI: absent,
    issueToken: absent,
    listTokens: absent,
    revokeToken: absent,
    async authenticateToken({ tokenSha256 }) {
      const found = people.get(tokenSha256.toString('hex'))
      if (found === undefined) throw new Rejection('NOT_SIGNED_IN', 'unauthenticated', 'nobody')
      return { ...found, groupIds: [...found.groupIds], platformRole: toProto(found.platformRole) }
    },
  })
}

function toProto(role: EndUser['platformRole']): PlatformRole {
  switch (role) {
    case 'administrator':
      return PlatformRole.PLATFORM_ROLE_ADMINISTRATOR
    case 'auditor':
      return PlatformRole.PLATFORM_ROLE_AUDITOR
    case 'none':
      return PlatformRole.PLATFORM_ROLE_UNSPECIFIED
  }
}
