import { connect, createSecureContext } from 'node:tls'
import { staticTlsIdentity } from '@postern/pki'
import { createTestAuthority } from '@postern/pki/testing'
import { EventLogServiceDefinition } from '@postern/proto/postern/eventlog/v1/event_log'
import { AgentServiceDefinition } from '@postern/proto/postern/tunnelbroker/v1/cluster'
import { createAnonymousClient, createRpcClients, createRpcServer, RpcError } from '@postern/rpc'
import { openDoors, sweepRpcs } from '@postern/rpc/testing'
import { createMetrics } from '@postern/telemetry'
import { createSilentLog } from '@postern/telemetry/testing'
import { Metadata, Status } from 'nice-grpc-common'
import { expect, test } from 'vitest'
import { ADMINISTRATOR_TOKEN, startFixture, UNPRIVILEGED_TOKEN } from './rpc-fixture.ts'

test('every door is closed to nobody, to a wrong part and to a user without permission', async () => {
  await using fixture = await startFixture()
  const answers = await sweepRpcs({
    address: fixture.server.address,
    trustDomain: fixture.authority.trustDomain,
    serverPath: 'service/identity',
    registrations: fixture.registrations,
    identityOf: fixture.authority.identity,
    unprivilegedToken: UNPRIVILEGED_TOKEN,
  })
  expect(openDoors(answers)).toEqual([])
  // It would prove nothing if nothing came through, or if little was asked.
  expect(answers.some(({ wanted, code }) => wanted === undefined && code === 'OK')).toBe(true)
  expect(answers.filter(({ wanted }) => wanted !== undefined).length).toBeGreaterThan(90)
  expect(fixture.calls.map(({ rpc }) => rpc)).not.toContain('join')
})

test('the sweep finds a door that is open', async () => {
  await using fixture = await startFixture()
  const [first] = await sweepRpcs({
    address: fixture.server.address,
    trustDomain: fixture.authority.trustDomain,
    serverPath: 'service/identity',
    registrations: ['postern.eventlog.v1.EventLogService'],
    identityOf: fixture.authority.identity,
    unprivilegedToken: UNPRIVILEGED_TOKEN,
  })
  expect(first && openDoors([{ ...first, code: 'OK' }])).toHaveLength(1)
})

test('the caller is who the certificate says, whatever the caller says', async () => {
  await using fixture = await startFixture()
  const clients = await fixture.clientsAs('agent/c1/a1')
  const events = clients.of(EventLogServiceDefinition, 'identity')
  const metadata = Metadata({ 'postern-peer-spiffe-id': 'spiffe://test.internal/service/policy' })
  await expect(events.readEvents({}, { metadata })).rejects.toMatchObject({
    code: Status.PERMISSION_DENIED,
    reason: 'PEER_NOT_ALLOWED',
  })
  const allowed = (await fixture.clientsAs('gateway/g7')).of(EventLogServiceDefinition, 'identity')
  await allowed.readEvents({}, { metadata })
  expect(fixture.calls[0]?.call).toMatchObject({
    peer: { kind: 'gateway', id: 'g7', spiffeId: 'spiffe://test.internal/gateway/g7' },
    actor: { by: 'gateway:g7', cause: 'eventlog.v1.EventLogService/ReadEvents' },
  })
})

test('a user calls through the console: with the permission for all, without it for their own', async () => {
  await using fixture = await startFixture()
  const tokens = await fixture.tokensAs('service/console')
  await tokens.listTokens({}, { userToken: UNPRIVILEGED_TOKEN })
  await tokens.listTokens({}, { userToken: ADMINISTRATOR_TOKEN })
  const [own, all] = fixture.calls.map(({ call }) => call)
  expect(own?.can('identity.tokens.list')).toBe(false)
  expect(own?.actor).toEqual({ by: 'user:u-none', cause: 'identity.v1.TokenService/ListTokens' })
  expect(all?.can('identity.tokens.list')).toBe(true)
})

test.each([
  {
    name: 'another part with a good token',
    path: 'service/policy',
    token: ADMINISTRATOR_TOKEN,
    code: Status.PERMISSION_DENIED,
  },
  {
    name: 'the console without a token',
    path: 'service/console',
    token: undefined,
    code: Status.UNAUTHENTICATED,
  },
  {
    name: 'the console with nobody’s token',
    path: 'service/console',
    token: 'ptk_revoked',
    code: Status.UNAUTHENTICATED,
  },
  {
    name: 'the console with an endless token',
    path: 'service/console',
    token: 'x'.repeat(600),
    code: Status.UNAUTHENTICATED,
  },
])('$name may not act for a user', async ({ path, token, code }) => {
  await using fixture = await startFixture()
  const tokens = await fixture.tokensAs(path)
  const settings = token === undefined ? {} : { userToken: token }
  await expect(tokens.whoAmI({}, settings)).rejects.toMatchObject({ code })
  expect(fixture.calls).toEqual([])
})

test('a call with two user tokens is for nobody', async () => {
  await using fixture = await startFixture()
  const tokens = await fixture.tokensAs('service/console')
  const metadata = Metadata({ 'postern-user-token': [UNPRIVILEGED_TOKEN, ADMINISTRATOR_TOKEN] })
  await expect(tokens.whoAmI({}, { metadata })).rejects.toMatchObject({ reason: 'MALFORMED_TOKEN' })
})

test('a certificate of our authority for another trust domain is nobody', async () => {
  await using fixture = await startFixture()
  const { ca } = fixture.authority
  const foreign = await createTestAuthority('other.internal')
  const stranger = await foreign.material('service/console')
  // Signed by strangers: the connection does not come about.
  const clients = createRpcClients({
    identity: staticTlsIdentity({ ...stranger, ca }),
    trustDomain: 'test.internal',
    addresses: { identity: fixture.server.address },
    log: createSilentLog(),
  })
  const events = clients.of(EventLogServiceDefinition, 'identity')
  await expect(events.readEvents({})).rejects.toMatchObject({ code: Status.UNAVAILABLE })
  clients.close()
  // Signed by us, but naming nothing of ours.
  const odd = await fixture.clientsAs('service/printer')
  const call = odd.of(EventLogServiceDefinition, 'identity').readEvents({})
  await expect(call).rejects.toMatchObject({ code: Status.UNAUTHENTICATED, reason: 'UNKNOWN_PEER' })
})

test('a certificate that expires while its connection lives is no identity any more', async () => {
  let now = new Date()
  await using fixture = await startFixture({ now: () => now })
  const clients = await fixture.clientsAs('gateway/g1')
  const events = clients.of(EventLogServiceDefinition, 'identity')
  await events.readEvents({})
  now = new Date(now.getTime() + 3601_000)
  await expect(events.readEvents({})).rejects.toMatchObject({ code: Status.UNAUTHENTICATED })
})

test('a client refuses a server that has a good certificate but is another service', async () => {
  await using fixture = await startFixture({ serverPath: 'service/policy' })
  const tokens = await fixture.tokensAs('service/console')
  await expect(tokens.login({})).rejects.toMatchObject({ code: Status.UNAVAILABLE })
  expect(fixture.calls).toEqual([])
})

test('TLS 1.2 is refused', async () => {
  await using fixture = await startFixture()
  const { cert, key, ca } = await fixture.authority.material('service/console')
  const { port } = fixture.server
  const outcome = await new Promise<string>((resolve) => {
    const secureContext = createSecureContext({ cert, key, ca, maxVersion: 'TLSv1.2' })
    const options = { port, host: '127.0.0.1', secureContext, checkServerIdentity: () => undefined }
    const socket = connect(options, () => resolve('connected'))
    socket.once('error', ({ message }) => resolve(message))
  })
  expect(outcome).toMatch(/protocol version/)
})

test('a server that asks for no certificate serves what is for anyone, and nothing else', async () => {
  await using fixture = await startFixture({
    clientCertificates: 'none',
    serverPath: 'service/tunnel-broker',
  })
  const target = {
    address: fixture.server.address,
    serverName: 'join.test.internal',
    serverSpiffeId: 'spiffe://test.internal/service/tunnel-broker',
    ca: fixture.authority.ca,
  }
  const agents = createAnonymousClient({ definition: AgentServiceDefinition, ...target })
  await agents.client.join({})
  expect(fixture.calls.map(({ rpc, call }) => [rpc, call.peer.kind])).toEqual([['join', 'anyone']])
  const events = createAnonymousClient({ definition: EventLogServiceDefinition, ...target })
  for (const refused of [agents.client.renew({}), events.client.readEvents({})]) {
    await expect(refused).rejects.toMatchObject({ reason: 'CERTIFICATE_REQUIRED' })
  }
  await expect(
    sweepRpcs({
      address: fixture.server.address,
      trustDomain: 'test.internal',
      serverPath: 'service/tunnel-broker',
      registrations: [],
      identityOf: fixture.authority.identity,
      unprivilegedToken: '',
    }),
  ).rejects.toThrow('UNIMPLEMENTED')
  agents.close()
  events.close()
})

test('what a join caller is told is an error of ours', async () => {
  await using fixture = await startFixture({ clientCertificates: 'none' })
  const { client, close } = createAnonymousClient({
    definition: AgentServiceDefinition,
    address: fixture.server.address,
    serverName: 'join.test.internal',
    serverSpiffeId: 'spiffe://test.internal/service/tunnel-broker',
    ca: fixture.authority.ca,
  })
  // The server is identity here: an agent must not hand its join token to it.
  const error = await client.join({}).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(RpcError)
  expect(error).toMatchObject({ code: Status.UNAVAILABLE })
  expect(fixture.calls).toEqual([])
  close()
})

test('a service that the descriptors do not know keeps its server from starting', async () => {
  const authority = await createTestAuthority()
  const definition = { name: 'Odd', fullName: 'google.protobuf.Odd', methods: {} }
  const start = createRpcServer({
    identity: await authority.identity('service/policy'),
    trustDomain: authority.trustDomain,
    listen: '127.0.0.1:0',
    registrations: [
      { definition, handlers: {}, serviceName: definition.fullName, addTo: () => undefined },
    ],
    authenticateUser: async () => undefined,
    clientCertificates: 'required',
    log: createSilentLog(),
    metrics: createMetrics('policy'),
  })
  await expect(start).rejects.toThrow('google.protobuf.Odd is not in the proto descriptors')
})
