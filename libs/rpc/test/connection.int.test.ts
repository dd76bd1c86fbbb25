import { Readable } from 'node:stream'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { connect } from 'node:tls'
import { Rejection } from '@postern/errors'
import { staticTlsIdentity } from '@postern/pki'
import { EventLogServiceDefinition } from '@postern/proto/postern/eventlog/v1/event_log'
import { AgentSessionServiceDefinition } from '@postern/proto/postern/session/v1/session'
import { type Call, createRpcClients, isUnimplemented, toRejection } from '@postern/rpc'
import { currentTrace, withSpan } from '@postern/telemetry'
import { createSilentLog } from '@postern/telemetry/testing'
import { Status } from 'nice-grpc-common'
import { HealthDefinition } from 'nice-grpc-server-health'
import { ServerReflectionService } from 'nice-grpc-server-reflection'
import { ServerReflectionRequest } from 'nice-grpc-server-reflection/lib/proto/grpc/reflection/v1/reflection_pb.js'
import { expect, test, vi } from 'vitest'
import { startFixture } from './rpc-fixture.ts'

const { holdLease } = EventLogServiceDefinition.methods
const StreamsOfLaterRelease = {
  ...EventLogServiceDefinition,
  fullName: 'postern.eventlog.v9.EventLogService',
  methods: { holdLease },
} as const

test('a renewed certificate is used by new connections, without a restart', async () => {
  await using fixture = await startFixture()
  const { authority, identity, server } = fixture
  const before = await serverSerial(server.port, authority.ca)
  const openConnection = await fixture.tokensAs('service/console')
  await openConnection.login({})
  identity.replace(await authority.material('service/identity'))
  const after = await serverSerial(server.port, authority.ca)
  expect(after).not.toBe(before)
  await openConnection.login({})
  await (await fixture.tokensAs('service/console')).login({})
})

test('a client presents its renewed certificate on its next connection', async () => {
  let now = new Date()
  await using fixture = await startFixture({ now: () => now })
  const own = staticTlsIdentity(await fixture.authority.material('gateway/g1', { lifeSeconds: 60 }))
  const connectAgain = () =>
    createRpcClients({
      identity: own,
      trustDomain: 'test.internal',
      addresses: { identity: fixture.server.address },
      log: createSilentLog(),
    })
  const first = connectAgain()
  await first.of(EventLogServiceDefinition, 'identity').readEvents({})
  now = new Date(now.getTime() + 120_000)
  const stale = first.of(EventLogServiceDefinition, 'identity').readEvents({})
  await expect(stale).rejects.toMatchObject({ code: Status.UNAUTHENTICATED })
  own.replace(await fixture.authority.material('gateway/g1'))
  const second = connectAgain()
  await second.of(EventLogServiceDefinition, 'identity').readEvents({})
  first.close()
  second.close()
})

test('a rejection arrives with its reason, its category, its words and its details', async () => {
  const rejection = new Rejection('NAME_TAKEN', 'already_exists', 'the name is taken', {
    name: 'ä"',
  })
  await using fixture = await startFixture({
    behaviour: async () => {
      throw rejection
    },
  })
  const tokens = await fixture.tokensAs('service/console')
  const error = await tokens.login({}).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: Status.ALREADY_EXISTS, reason: 'NAME_TAKEN' })
  expect(toRejection(error)).toEqual(rejection)
  expect(fixture.log.records).toEqual([])
})

test('a bug is told as a trace id, and its cause is logged once', async () => {
  await using fixture = await startFixture({
    behaviour: async () => {
      throw new Error('the password is hunter2')
    },
  })
  const tokens = await fixture.tokensAs('service/console')
  const error = await tokens.login({}).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: Status.INTERNAL })
  expect(String(error)).not.toContain('hunter2')
  const [record, ...more] = fixture.log.records
  expect(more).toEqual([])
  expect(record).toMatchObject({ level: 'error', message: 'rpc failed' })
  expect(String(error)).toContain(Object(record?.fields)['postern-trace-id'])
})

test('only what is idempotent is sent again', async () => {
  let failures = 2
  await using fixture = await startFixture({
    behaviour: async () => {
      if (failures-- > 0) throw Object.assign(new Error('down'), { code: 'ECONNREFUSED' })
    },
  })
  const events = (await fixture.clientsAs('gateway/g1')).of(EventLogServiceDefinition, 'identity')
  await events.readEvents({})
  expect(fixture.calls).toHaveLength(3)
  failures = 1
  const tokens = await fixture.tokensAs('service/console')
  await expect(tokens.login({})).rejects.toMatchObject({ code: Status.UNAVAILABLE })
  expect(fixture.calls).toHaveLength(4)
})

test('a call ends at its deadline, and the handler learns of it', async () => {
  let seen: Call | undefined
  await using fixture = await startFixture({
    behaviour: async (call) => {
      seen = call
      await setTimeout(20_000, undefined, { signal: call.signal })
    },
  })
  const tokens = await fixture.tokensAs('service/console')
  await expect(tokens.login({}, { deadlineMs: 300 })).rejects.toMatchObject({
    code: Status.DEADLINE_EXCEEDED,
  })
  await vi.waitFor(() => expect(seen?.signal.aborted).toBe(true), { timeout: 5_000 })
})

test('clients are made while the other side is down, and find it when it is up', async () => {
  await using fixture = await startFixture()
  const clients = createRpcClients({
    identity: await fixture.authority.identity('service/console'),
    trustDomain: 'test.internal',
    addresses: { identity: '127.0.0.1:1' },
    log: createSilentLog(),
  })
  const call = clients.of(EventLogServiceDefinition, 'identity').readEvents({})
  await expect(call).rejects.toMatchObject({ code: Status.UNAVAILABLE })
  expect(() => clients.of(EventLogServiceDefinition, 'policy')).toThrow('address of policy')
  clients.close()
})

test('a stream that the other side does not know yet is told from one that fails', async () => {
  await using fixture = await startFixture()
  const clients = await fixture.clientsAs('gateway/g1')
  const ofLaterRelease = clients.of(StreamsOfLaterRelease, 'identity')
  const asked = async () => {
    for await (const _ of ofLaterRelease.holdLease(Readable.from([]))) return
  }
  expect(isUnimplemented(await asked().catch((error: unknown) => error))).toBe(true)
})

test('closing ends streams at once and lets a running call finish', async () => {
  const started = new AbortController()
  let finish = () => {}
  await using fixture = await startFixture({
    behaviour: async (_call, rpc) => {
      if (rpc !== 'login') return
      started.abort()
      await new Promise<void>((resolve) => {
        finish = resolve
      })
    },
  })
  const sessions = (await fixture.clientsAs('agent/c1/a1')).of(
    AgentSessionServiceDefinition,
    'session',
  )
  // The fixture is identity; its clients check that, so the stream goes by that name.
  expect(sessions).toBeDefined()
  const watching = (await fixture.clientsAs('agent/c1/a1')).of(
    AgentSessionServiceDefinition,
    'identity',
  )
  const stream = watching.watchAccounts({})[Symbol.asyncIterator]()
  await stream.next()
  const ending = stream.next()
  const running = (await fixture.tokensAs('service/console')).login({})
  await vi.waitFor(() => expect(started.signal.aborted).toBe(true), { timeout: 5_000 })
  const closing = fixture.server.close(5_000)
  await expect(ending).rejects.toMatchObject({ code: Status.UNAVAILABLE })
  finish()
  await expect(running).resolves.toBeDefined()
  await closing
})

test('a trace goes on at the other side', async () => {
  const seen: (string | undefined)[] = []
  await using fixture = await startFixture({
    behaviour: async () => {
      await setImmediate()
      seen.push(currentTrace()?.traceId)
    },
  })
  const tokens = await fixture.tokensAs('service/console')
  const traceId = await withSpan('test', {}, async () => {
    await tokens.login({})
    return currentTrace()?.traceId
  })
  expect(seen).toEqual([traceId])
  expect(traceId).toMatch(/^[0-9a-f]{32}$/)
})

test('any part of the installation may ask for health; how long RPCs take is counted', async () => {
  await using fixture = await startFixture()
  const health = (await fixture.clientsAs('relay/r1')).of(HealthDefinition, 'identity')
  expect(await health.check({ service: '' })).toMatchObject({ status: 1 })
  fixture.server.setHealthy(false)
  expect(await health.check({ service: '' })).toMatchObject({ status: 2 })
  await (await fixture.tokensAs('service/console')).login({})
  expect(await fixture.metrics.metrics()).toMatch(
    /postern_rpc_server_seconds_count\{service="identity",rpc="postern.identity.v1.TokenService\/Login",code="OK"\} 1/,
  )
})

test('any part of the installation may ask which RPCs there are, and of what shape', async () => {
  await using fixture = await startFixture()
  const clients = await fixture.clientsAs('relay/r1')
  const reflection = clients.of(ServerReflectionService, 'identity')
  const ask = async (request: ServerReflectionRequest) => {
    const asked = async function* () {
      yield request
    }
    for await (const response of reflection.serverReflectionInfo(asked())) return response
    throw new Error('no answer')
  }
  const services = await ask(new ServerReflectionRequest().setListServices('*'))
  const names = services
    .getListServicesResponse()
    ?.getServiceList()
    .map((one) => one.getName())
  expect(names).toContain('postern.identity.v1.TokenService')
  const symbol = 'postern.identity.v1.TokenService'
  const shape = await ask(new ServerReflectionRequest().setFileContainingSymbol(symbol))
  expect(shape.getFileDescriptorResponse()?.getFileDescriptorProtoList()).toHaveLength(1)
})

async function serverSerial(port: number, ca: string): Promise<string> {
  return await new Promise((resolve, reject) => {
    const socket = connect(
      { port, host: '127.0.0.1', ca, checkServerIdentity: () => undefined },
      () => {
        resolve(socket.getPeerCertificate().serialNumber)
        socket.destroy()
      },
    )
    socket.once('error', reject)
  })
}
