import type { Bus } from '@postern/bus'
import { Rejection } from '@postern/errors'
import {
  type Decider,
  type DomainEvent,
  type EventCodec,
  type EventLog,
  openEventLog,
} from '@postern/eventing'
import { createDatabase } from '@postern/fixtures'
import { newSecret, sha256 } from '@postern/pki'
import type { TestAuthority } from '@postern/pki/testing'
import { EventLogServiceDefinition } from '@postern/proto/postern/eventlog/v1/event_log'
import { PlatformRole } from '@postern/proto/postern/identity/events/v1/events'
import { TokenServiceDefinition } from '@postern/proto/postern/identity/v1/token'
import { identityCodec, policyCodec, tunnelBrokerCodec } from '@postern/replica'
import {
  createRpcServer,
  type EndUser,
  type RpcRegistration,
  type RpcServer,
  register,
} from '@postern/rpc'
import { createLog, createMetrics } from '@postern/telemetry'
import { sql } from 'kysely'

const silent = createLog({ name: 'test', level: 'silent' })

type Needs = { postgresUrl: string; bus: Bus; authority: TestAuthority }

/** Another service's log, real, with its real events, served as it serves it. */
type OtherLog<Event extends DomainEvent> = {
  readonly address: string
  append(stream: string, ...events: Event[]): Promise<void>
  /** As after a restore: every reader starts anew. */
  changeEpoch(): Promise<void>
  /** The owner answers nothing beyond this position until it may again. */
  holdAt(pos: bigint | undefined): void
  stop(): Promise<void>
}

/** What the session service hears of identity, policy and tunnel-broker. It imports none of them. */
export async function startOtherLogs(needs: Needs) {
  const people = new Map<string, EndUser>()
  const identity = await startLog(needs, 'identity', identityCodec, [tokenService(people)])
  const policy = await startLog(needs, 'policy', policyCodec, [])
  const tunnelBroker = await startLog(needs, 'tunnel-broker', tunnelBrokerCodec, [])
  return {
    identity,
    policy,
    tunnelBroker,
    /** Lets a person call through the console. */
    signIn(person: Pick<EndUser, 'userId' | 'userName' | 'platformRole'>): { userToken: string } {
      const userToken = newSecret('ptk_')
      people.set(sha256(userToken).toString('hex'), { ...person, groupIds: [], tokenId: '' })
      return { userToken }
    },
    async stop() {
      for (const log of [identity, policy, tunnelBroker]) await log.stop()
    },
  }
}

/** Appends what it is told to. */
function recorder<Event extends DomainEvent>(): Decider<null, readonly Event[], Event> {
  return { initial: null, decide: (events) => events, evolve: () => null }
}

async function startLog<Event extends DomainEvent>(
  { postgresUrl, bus, authority }: Needs,
  service: string,
  codec: EventCodec<Event>,
  others: readonly RpcRegistration[],
): Promise<OtherLog<Event>> {
  const log: EventLog<object, Event> = await openEventLog<object, Event>({
    projections: [],
    migrations: {},
    bus,
    log: silent,
    now: () => new Date(),
    service,
    codec,
    databaseUrl: await createDatabase(postgresUrl),
  })
  let heldAt: bigint | undefined
  const server: RpcServer = await createRpcServer({
    identity: await authority.identity(`service/${service}`),
    trustDomain: authority.trustDomain,
    listen: '127.0.0.1:0',
    registrations: [held(log.registration, () => heldAt), ...others],
    authenticateUser: async () => undefined,
    clientCertificates: 'required',
    log: silent,
    metrics: createMetrics(service),
  })
  await log.start()
  const decider = recorder<Event>()
  return {
    address: server.address,
    async append(stream, ...events) {
      const actor = { by: 'system', cause: 'test' }
      await log.store.execute({ stream, decider, command: events, actor })
    },
    async changeEpoch() {
      await sql`update head set epoch = gen_random_uuid()`.execute(log.db)
    },
    holdAt(pos) {
      heldAt = pos
    },
    async stop() {
      await server.close(0)
      await log.stop()
    },
  }
}

type LogHandlers = Record<
  'readEvents' | 'renewLease',
  (request: unknown, context: unknown) => Promise<object>
>

/** The log's own handlers, as slow as the test wants them. */
function held(registration: RpcRegistration, heldAt: () => bigint | undefined): RpcRegistration {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the registration hides their types
  const own = registration.handlers as LogHandlers
  return register(EventLogServiceDefinition, {
    async readEvents(request, context) {
      const pos = heldAt()
      if (pos === request.after) throw new Error('held by the test')
      const page = await own.readEvents(request, context)
      if (pos === undefined || !('events' in page) || !Array.isArray(page.events)) return page
      return { ...page, events: page.events.filter((event: { pos: bigint }) => event.pos <= pos) }
    },
    renewLease: async (request, context) => await own.renewLease(request, context),
    rebuild: async () => ({ projections: [] }),
  })
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
      return { ...found, groupIds: [], platformRole: toProto(found.platformRole) }
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
