import { decide, resourceAttributes } from '@postern/access'
import { createLeaseClock } from '@postern/eventing'
import { createReplica, type Replica } from '@postern/replica'
import { createMemoryLogs, type EventOf, type MemoryLogs } from '@postern/replica/testing'
import { createMemoryLog } from '@postern/telemetry/testing'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

let logs: MemoryLogs
let replica: Replica
const memoryLog = createMemoryLog()

const opened = (leases: boolean) =>
  createReplica({
    clients: logs.clients,
    log: memoryLog,
    ...(leases ? { leaseClock: createLeaseClock() } : {}),
  })

beforeEach(() => {
  logs = createMemoryLogs()
  replica = opened(true)
})
afterEach(async () => {
  await replica.stop()
})

const tokenHash = Buffer.alloc(32, 7)
const rules = [
  { verbs: ['get'], apiGroups: [''], resources: ['pods'], resourceNames: [], nonResourceUrls: [] },
]
const grantCreated: EventOf['policy'] = {
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

/** Alice may read pods on prod, and is signed in. */
const aliceReads = () => {
  logs.append(
    'identity',
    { type: 'UserCreated', userId: 'u1', name: 'alice', displayName: '', kind: 1 },
    {
      type: 'TokenIssued',
      tokenId: 't1',
      userId: 'u1',
      tokenSha256: tokenHash,
      description: '',
      expiresAt: '2999-01-01T00:00:00.000Z',
    },
  )
  logs.append(
    'policy',
    { type: 'RoleCreated', roleId: 'r', name: 'r', description: '', rules },
    grantCreated,
  )
  logs.append(
    'tunnel-broker',
    { type: 'ClusterRegistered', clusterId: 'c1', name: 'prod', labels: {}, installLevel: 3 },
    { type: 'AgentJoined', clusterId: 'c1', agentId: 'agent' },
  )
}
const asked = resourceAttributes({ verb: 'get', resource: 'pods', namespace: 'n', name: 'p' })
const outcome = () =>
  decide(replica.snapshot(), { userId: 'u1', clusterId: 'c1' }, asked, new Date()).outcome
const until = async (condition: () => boolean, timeout = 5000) =>
  await vi.waitUntil(condition, { timeout, interval: 5 })
const ready = async () => await replica.ready(AbortSignal.timeout(5000))

test('what the logs say is known once they were read to their heads', async () => {
  aliceReads()
  expect(replica.caughtUp).toBe(false)
  expect(replica.leaseValid()).toBe(false)
  replica.start()
  await ready()
  expect(outcome()).toBe('allow')
  expect(replica.userByName('alice')?.id).toBe('u1')
  expect(replica.clusterByName('prod')?.id).toBe('c1')
  expect(replica.hasAgent('c1', 'agent')).toBe(true)
  expect(replica.hasAgent('c1', 'other')).toBe(false)
  expect(replica.tokenBySha256(tokenHash)).toEqual({
    tokenId: 't1',
    userId: 'u1',
    expiresAt: '2999-01-01T00:00:00.000Z',
  })
  expect(replica.tokenBySha256(tokenHash.toString('hex'))?.userId).toBe('u1')
  expect(replica.tokenBySha256(Buffer.alloc(32, 8))).toBeUndefined()
  expect(replica.positions()).toEqual({ identity: 2n, policy: 2n, 'tunnel-broker': 2n })
  await until(() => replica.leaseValid())
})

test('what was committed before somebody asked is there once it is confirmed; without an owner it is not', async () => {
  aliceReads()
  expect(await replica.confirmed()).toBe(false)
  replica.start()
  await ready()
  for (const name of ['r2', 'r3', 'r4']) {
    logs.append('policy', { type: 'RoleCreated', roleId: name, name, description: '', rules })
    expect(await replica.confirmed()).toBe(true)
    expect(replica.snapshot().roles.has(name)).toBe(true)
  }
  logs.setReachable('policy', false)
  expect(await replica.confirmed()).toBe(false)
})

test('a revocation is heard of, in a new snapshot, while the old one stays as it was', async () => {
  aliceReads()
  replica.start()
  await ready()
  const before = replica.snapshot()
  const versionBefore = replica.version
  const heard = vi.fn<() => string>(() => outcome())
  replica.onChange(heard)
  replica.onChange(() => {
    throw new Error('a listener that fails')
  })
  logs.append('policy', { type: 'GrantRevoked', grantId: 'g', reason: '' })
  await until(() => outcome() === 'deny')
  expect(heard.mock.results.at(-1)?.value).toBe('deny')
  expect(replica.version).toBeGreaterThan(versionBefore)
  expect(replica.positions().policy).toBe(3n)
  expect(before.grants.has('g')).toBe(true)
})

test('a disabled user loses his tokens', async () => {
  aliceReads()
  replica.start()
  await ready()
  logs.append('identity', { type: 'UserDisabled', userId: 'u1', reason: '' })
  await until(() => replica.tokenBySha256(tokenHash) === undefined)
  expect(outcome()).toBe('deny')
})

test('rights of the past are never shown while a log is read', async () => {
  aliceReads()
  logs.append('policy', { type: 'GrantRevoked', grantId: 'g', reason: '' })
  for (let n = 0; n < 10; n++) {
    logs.append('policy', {
      type: 'RoleCreated',
      roleId: `x${n}`,
      name: `x${n}`,
      description: '',
      rules,
    })
  }
  const seen = new Set<string>()
  replica.onChange(() => seen.add(outcome()))
  replica.start()
  await ready()
  expect(seen).toEqual(new Set(['deny']))
})

test('while a restored log is read anew nothing is certain, and nothing is shown half', async () => {
  aliceReads()
  replica.start()
  await ready()
  await until(() => replica.leaseValid())
  const lease: boolean[] = []
  replica.onLease((valid) => lease.push(valid))

  logs.stopAt('policy', 3n)
  logs.restore('policy', 0)
  logs.append('policy', grantCreated)
  logs.append('policy', { type: 'GrantRevoked', grantId: 'g', reason: '' })
  logs.append('policy', { type: 'RoleCreated', roleId: 'r', name: 'r', description: '', rules })
  logs.append('policy', { type: 'RoleCreated', roleId: 's', name: 's', description: '', rules })
  await until(() => !replica.caughtUp)
  expect(replica.leaseValid()).toBe(false)
  await until(() => lease.at(-1) === false)
  expect(replica.positions().policy).toBe(2n)

  logs.stopAt('policy', undefined)
  await until(() => replica.caughtUp && replica.leaseValid())
  expect(replica.positions().policy).toBe(4n)
  expect([...replica.snapshot().roles.keys()]).toEqual(['r', 's'])
  expect(outcome()).toBe('deny')
  await until(() => lease.at(-1) === true)
})

test.each(['identity', 'policy', 'tunnel-broker'] as const)(
  'without %s the lease ends, and comes back with it',
  async (service) => {
    aliceReads()
    replica.start()
    await ready()
    await until(() => replica.leaseValid())
    logs.setReachable(service, false)
    await until(() => !replica.leaseValid())
    logs.setReachable(service, true)
    await until(() => replica.leaseValid())
  },
)

test('an event that is not known stops the reader, and with it the lease', async () => {
  aliceReads()
  replica.start()
  await ready()
  await until(() => replica.leaseValid())
  logs.appendEncoded('policy', 'postern.policy.events.v1.GrantNarrowed', new Uint8Array())
  await until(() => !replica.leaseValid())
  expect(replica.positions().policy).toBe(2n)
  const messages = memoryLog.records.map(({ fields }) => JSON.stringify(fields))
  expect(messages.some((text) => text.includes('upgrade this part first'))).toBe(true)
})

test('an owner that is not there at the start is waited for, not beyond the deadline', async () => {
  aliceReads()
  logs.setReachable('identity', false)
  replica.start()
  await expect(replica.ready(AbortSignal.timeout(300))).rejects.toThrow('timeout')
  expect(replica.caughtUp).toBe(false)
  expect(outcome()).toBe('deny')
  logs.setReachable('identity', true)
  await ready()
  expect(outcome()).toBe('allow')
})

test('without leases it never asks for one', async () => {
  const plain = opened(false)
  aliceReads()
  plain.start()
  await plain.ready(AbortSignal.timeout(5000))
  expect(plain.leaseValid()).toBe(true)
  logs.setReachable('policy', false)
  expect(plain.leaseValid()).toBe(true)
  await plain.stop()
})
