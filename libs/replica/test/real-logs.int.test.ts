import { decide, resourceAttributes } from '@postern/access'
import { type Bus, connectBus } from '@postern/bus'
import { type Outsider, openOutsider } from '@postern/bus/testing'
import { createLeaseClock } from '@postern/eventing'
import { createKillableNats, type KillableNats } from '@postern/fixtures'
import { type ServedLog, serveLog } from '@postern/fixtures/other-services'
import { createTestAuthority, type TestAuthority } from '@postern/pki/testing'
import { RenewLeaseRequest, RenewLeaseResponse } from '@postern/proto/postern/eventlog/v1/event_log'
import {
  createReplica,
  identityCodec,
  policyCodec,
  type Replica,
  tunnelBrokerCodec,
} from '@postern/replica'
import type { EventOf } from '@postern/replica/testing'
import { createRpcClients } from '@postern/rpc'
import { createSilentLog } from '@postern/telemetry/testing'
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest'

const log = createSilentLog()
const closing: (() => Promise<void> | void)[] = []
let authority: TestAuthority
let nats: KillableNats
let bus: Bus
let policy: ServedLog<EventOf['policy']>
let addresses: Record<'identity' | 'policy' | 'tunnel-broker', string>

const ownerNeeds = () => ({ postgresUrl: inject('postgresUrl'), bus, authority })
const until = async (condition: () => boolean) =>
  await vi.waitUntil(condition, { timeout: 60_000, interval: 1 })

beforeAll(async () => {
  authority = await createTestAuthority()
  nats = await createKillableNats()
  await nats.start()
  closing.push(async () => await nats.stop())
  bus = connectBus({ url: nats.url, name: 'owners', log })
  closing.push(async () => await bus.close())
  const needs = ownerNeeds()
  const identity = await serveLog(needs, 'identity', identityCodec)
  policy = await serveLog(needs, 'policy', policyCodec)
  const broker = await serveLog(needs, 'tunnel-broker', tunnelBrokerCodec)
  for (const owner of [identity, policy, broker]) closing.push(async () => await owner.stop())
  addresses = {
    identity: identity.address,
    policy: policy.address,
    'tunnel-broker': broker.address,
  }
  await identity.append('user-u1', {
    type: 'UserCreated',
    userId: 'u1',
    name: 'mallory',
    displayName: '',
    kind: 1,
  })
  await broker.append(
    'cluster-c1',
    { type: 'ClusterRegistered', clusterId: 'c1', name: 'prod', labels: {}, installLevel: 3 },
    { type: 'AgentJoined', clusterId: 'c1', agentId: 'agent' },
  )
  await policy.append('role-r', role('r'))
})
afterAll(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const role = (roleId: string): EventOf['policy'] => ({
  type: 'RoleCreated',
  roleId,
  name: roleId,
  description: '',
  rules: [
    {
      verbs: ['get'],
      apiGroups: [''],
      resources: ['pods'],
      resourceNames: [],
      nonResourceUrls: [],
    },
  ],
})
const grant: EventOf['policy'] = {
  type: 'GrantCreated',
  grantId: 'g',
  name: 'g',
  terms: {
    subjects: [{ kind: 'user', id: 'u1' }],
    roleId: 'r',
    clusters: { clusterIds: ['c1'] },
    namespaces: { all: true, names: [] },
  },
}

/** A gateway's replica, over gRPC with its own certificate. */
async function openReplica(owners = addresses): Promise<Replica> {
  const clients = createRpcClients({
    identity: await authority.identity('gateway/g1'),
    trustDomain: authority.trustDomain,
    addresses: owners,
    log,
  })
  const replica = createReplica({ clients, log, leaseClock: createLeaseClock() })
  closing.push(() => clients.close())
  closing.push(async () => await replica.stop())
  replica.start()
  await until(() => replica.leaseValid())
  return replica
}

const asked = resourceAttributes({ verb: 'get', resource: 'pods', namespace: 'n', name: 'p' })
const outcomeIn = (replica: Replica) =>
  decide(replica.snapshot(), { userId: 'u1', clusterId: 'c1' }, asked, new Date()).outcome

test('a revocation arrives with the bus, and without it all the same', async () => {
  const replica = await openReplica()
  await until(() => bus.connected)
  const deleted = async (n: number) => {
    await policy.append(`role-r${n}`, role(`r${n}`))
    await until(() => replica.snapshot().roles.has(`r${n}`))
    await policy.append(`role-r${n}`, { type: 'RoleDeleted', roleId: `r${n}` })
    await until(() => !replica.snapshot().roles.has(`r${n}`))
  }
  for (let n = 1; n < 12; n += 1) await deleted(n)
  await nats.kill()
  await deleted(20)
  expect(replica.leaseValid()).toBe(true)
  await nats.start()
})

/** Forges, with every right on the bus, a grant as the next event of the log, and as many others. */
async function forgeGrants(attacker: Outsider, epoch: string, next: bigint): Promise<void> {
  const { type, data, schemaVer } = policyCodec.encode(grant)
  for (const pos of [next, next + 1n, next + 2n]) {
    await attacker.publish({
      subject: 'postern.evt.policy.grant.GrantCreated.g',
      data,
      headers: {
        'ce-specversion': '1.0',
        'ce-id': crypto.randomUUID(),
        'ce-source': 'postern/policy',
        'ce-type': type,
        'ce-time': new Date().toISOString(),
        pos: String(pos),
        epoch,
        ver: '1',
        stream: 'grant-g',
        schemaver: String(schemaVer),
        actor: 'user:admin',
        cause: 'postern.policy.v1.GrantService/CreateGrant',
      },
    })
    const hint = Buffer.from(JSON.stringify({ epoch, pos: String(pos) }))
    await attacker.publish({ subject: 'postern.hint.policy', data: hint, headers: {} })
  }
}

test('whoever holds the bus can grant nothing, in the next place, ahead of the log, or in a stream of his own', async () => {
  const replica = await openReplica()
  const attacker = await openOutsider(nats.url)
  closing.push(async () => await attacker.close())
  const seen = new Set<string>()
  let leasesLost = 0
  replica.onChange(() => seen.add(outcomeIn(replica)))
  replica.onLease((valid) => {
    if (!valid) leasesLost += 1
  })
  const epochs = new Set<string>()
  await until(() => bus.connected)
  await attacker.follow('EVT_POLICY', ({ headers }) => epochs.add(headers['epoch'] ?? ''))
  await until(() => epochs.size === 1)
  const [epoch = ''] = epochs
  for (let round = 0; round < 5; round += 1) {
    const { policy: pos } = replica.positions()
    await forgeGrants(attacker, epoch, pos + 1n)
    if (round % 2 === 0) {
      await attacker.deleteStream('EVT_POLICY').catch(() => undefined)
      await forgeGrants(attacker, epoch, 1n)
    }
    // The log goes on, and reaches its readers.
    await policy.append(`role-x${round}`, role(`x${round}`))
    await until(() => replica.snapshot().roles.has(`x${round}`))
    expect(replica.positions().policy).toBe(pos + 1n)
  }
  expect(replica.snapshot().grants.size).toBe(0)
  expect(seen).toEqual(new Set(['deny']))
  expect(leasesLost).toBe(0)
})

test('whoever holds the bus keeps no gateway alive that hears nothing from an owner', async () => {
  const broker = await serveLog(ownerNeeds(), 'tunnel-broker', tunnelBrokerCodec)
  const replica = await openReplica({ ...addresses, 'tunnel-broker': broker.address })
  const attacker = await openOutsider(nats.url)
  closing.push(async () => await attacker.close())
  await attacker.subscribe('postern.>', (data) => {
    try {
      const { epoch, applied, nonce } = RenewLeaseRequest.decode(data)
      return RenewLeaseResponse.encode({ epoch, head: applied, granted: true, nonce }).finish()
    } catch {
      return undefined
    }
  })
  await broker.stop()
  await until(() => !replica.leaseValid())
})
