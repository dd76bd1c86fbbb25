import type { Bus } from '@postern/bus'
import { Rejection } from '@postern/errors'
import { type Decider, type DomainEvent, type EventCodec, openEventLog } from '@postern/eventing'
import { createDatabase } from '@postern/fixtures'
import { newSecret, sha256 } from '@postern/pki'
import type { TestAuthority } from '@postern/pki/testing'
import { PlatformRole } from '@postern/proto/postern/identity/events/v1/events'
import { CertificateAuthorityServiceDefinition } from '@postern/proto/postern/identity/v1/certificate_authority'
import { TokenServiceDefinition } from '@postern/proto/postern/identity/v1/token'
import { identityCodec, policyCodec } from '@postern/replica'
import { createRpcServer, type EndUser, type RpcRegistration, register } from '@postern/rpc'
import { createLog, createMetrics } from '@postern/telemetry'

const silent = createLog({ name: 'test', level: 'silent' })

type Needs = { postgresUrl: string; bus: Bus; authority: TestAuthority }

/** What tunnel-broker hears of identity and policy, and asks of identity. It imports neither. */
export async function startOtherLogs(needs: Needs) {
  const people = new Map<string, EndUser>()
  const authority = { isDown: false, issued: 0 }
  const identity = await startLog(needs, 'identity', identityCodec, [
    tokenService(people),
    certificateAuthority(needs.authority, authority),
  ])
  const policy = await startLog(needs, 'policy', policyCodec, [])
  return {
    identity,
    policy,
    /** Whether identity issues certificates, and how many it has. */
    authority,
    /** Lets a person call through the console. */
    signIn(person: Pick<EndUser, 'userId' | 'userName' | 'platformRole'>): { userToken: string } {
      const userToken = newSecret('ptk_')
      people.set(sha256(userToken).toString('hex'), { ...person, groupIds: [], tokenId: '' })
      return { userToken }
    },
    async stop() {
      await identity.stop()
      await policy.stop()
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
) {
  const log = await openEventLog<object, Event>({
    projections: [],
    migrations: {},
    bus,
    log: silent,
    now: () => new Date(),
    service,
    codec,
    databaseUrl: await createDatabase(postgresUrl),
  })
  const server = await createRpcServer({
    identity: await authority.identity(`service/${service}`),
    trustDomain: authority.trustDomain,
    listen: '127.0.0.1:0',
    registrations: [log.registration, ...others],
    authenticateUser: async () => undefined,
    clientCertificates: 'required',
    log: silent,
    metrics: createMetrics(service),
  })
  await log.start()
  const decider = recorder<Event>()
  return {
    address: server.address,
    async append(stream: string, ...events: Event[]): Promise<void> {
      const actor = { by: 'system', cause: 'test' }
      await log.store.execute({ stream, decider, command: events, actor })
    },
    async stop() {
      await server.close(0)
      await log.stop()
    },
  }
}

/** Issues as identity does: for the ids that it is told, whatever the certificate request names. */
function certificateAuthority(
  authority: TestAuthority,
  state: { isDown: boolean; issued: number },
): RpcRegistration {
  const absent = async (): Promise<never> => {
    throw new Error('not part of this test')
  }
  return register(CertificateAuthorityServiceDefinition, {
    renewCertificate: absent,
    getTrustBundle: absent,
    async issueAgentCertificate({ csr, clusterId, agentId }) {
      if (state.isDown) throw new Error('identity cannot sign now')
      if (csr.length < 10) throw new Rejection('INVALID_CSR', 'invalid_argument', 'no CSR')
      state.issued += 1
      const { chain, roots } = await authority.issue(csr, `agent/${clusterId}/${agentId}`)
      return { certificate: { chain, roots, notAfter: new Date().toISOString() } }
    },
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
