import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { newId } from '@postern/ids'
import type { AccountOrder } from '@postern/proto/postern/session/v1/session'
import { type RunningService, runService } from '@postern/service'
import { createMemoryLog } from '@postern/telemetry/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { agentService } from '../src/definition.ts'
import { type AgentCluster, startAgentCluster } from './agent-cluster.ts'
import {
  type Authority,
  createAuthority,
  signed,
  startControlPlane,
  TRUST_DOMAIN,
} from './control-plane.ts'

const HOUR_MS = 3_600_000
const CLUSTER_ID = newId('cluster')
let cluster: AgentCluster
let authority: Authority
let plane: Awaited<ReturnType<typeof startControlPlane>>
const agents: RunningService[] = []

/** The image's command as the test cluster's runtime runs it: volumes lie below the pod's own folder. */
const IMAGE = 'postern/agent:test'
const COMMAND = [
  'env',
  'POSTERN_AGENT_SERVICE_ACCOUNT_DIR=var/run/secrets/kubernetes.io/serviceaccount',
  process.execPath,
  '--conditions=@postern/source',
  fileURLToPath(new URL('../src/main.ts', import.meta.url)),
]

beforeAll(async () => {
  ;[cluster, authority] = await Promise.all([
    startAgentCluster({ images: { [IMAGE]: COMMAND } }),
    createAuthority(),
  ])
})

afterAll(async () => {
  await cluster?.stop()
})

beforeEach(async () => {
  plane = await startControlPlane(authority, CLUSTER_ID)
})

afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.stop()))
  await plane.close()
  await cluster.kubectl([
    'delete',
    'secret',
    'postern-agent-identity',
    '-n',
    'postern-system',
    '--ignore-not-found',
  ])
})

const newToken = () => {
  const token = `pjt_${randomBytes(32).toString('base64url')}`
  plane.joinTokens.add(token)
  return token
}

async function startAgent(joinToken?: string, now = () => new Date()) {
  const log = createMemoryLog()
  const agent = await runService(
    agentService,
    {
      POSTERN_TRUST_DOMAIN: TRUST_DOMAIN,
      POSTERN_AGENT_CLUSTER: 'test',
      POSTERN_AGENT_RELAYS: plane.relay.address,
      POSTERN_AGENT_ROOTS: authority.ca,
      POSTERN_AGENT_SERVICE_ACCOUNT_DIR: cluster.serviceAccountDir,
      POSTERN_AGENT_KUBERNETES: cluster.kubernetes,
      ...(joinToken === undefined ? {} : { POSTERN_AGENT_JOIN_TOKEN: joinToken }),
    },
    { log, now },
  )
  agents.push(agent)
  return { agent, log }
}

function orderFor(change: Partial<AccountOrder> = {}): AccountOrder {
  return {
    sessionId: newId('session'),
    clusterId: CLUSTER_ID,
    version: 1,
    wanted: true,
    account: `ptr-test-${randomBytes(6).toString('hex')}`,
    userId: 'u1',
    userName: 'alice',
    bindings: [{ clusterRole: 'postern-view', namespaces: ['default'] }],
    expiresAt: new Date(Date.now() + HOUR_MS).toISOString(),
    ...change,
  }
}

async function objectsOf(sessionId: string): Promise<string[]> {
  const kinds = 'serviceaccounts,secrets,rolebindings,clusterrolebindings'
  const names = await cluster.kubectl([
    'get',
    kinds,
    '-A',
    '-l',
    `postern.dev/session=${sessionId}`,
    '-o',
    'name',
  ])
  return names.split('\n').filter((name) => name !== '')
}

async function reported(sessionId: string, $case: 'provisioned' | 'removed'): Promise<void> {
  await vi.waitFor(
    () => {
      const found = plane.reports.some(
        (report) => report.sessionId === sessionId && report.result?.$case === $case,
      )
      expect(found).toBe(true)
    },
    { timeout: 60_000, interval: 20 },
  )
}

test('an agent joins once, keeps its certificate in the cluster, and starts again without a token', async () => {
  const first = await startAgent(newToken())
  await first.agent.stop()
  const again = await startAgent()
  expect(plane.joins).toBe(1)
  expect(again.log.records.some(({ message }) => message === 'joined')).toBe(false)
})

test('of two pods that start with one join token one joins, and both are the same agent', async () => {
  const token = newToken()
  const pods = await Promise.all([startAgent(token), startAgent(token)])
  expect(plane.joins).toBe(1)
  const identities = pods.map(({ log }) => {
    const started = log.records.find(({ message }) => message === 'started')
    return JSON.stringify(started?.fields).match(/spiffe:[^"]+/)?.[0]
  })
  expect(identities[0]).toMatch(/\/agent\//)
  expect(identities[1]).toBe(identities[0])
})

test('an agent without certificate and token says what to do', async () => {
  await expect(startAgent()).rejects.toMatchObject({
    cause: { message: expect.stringContaining('apply a new join manifest') },
  })
})

test('a new join token replaces a certificate that is still good: the cluster was joined anew', async () => {
  const first = await startAgent(newToken())
  await first.agent.stop()
  await startAgent(newToken())
  expect(plane.joins).toBe(2)
})

test('a used join token does no harm to an agent that has a certificate', async () => {
  const first = await startAgent(newToken())
  await first.agent.stop()
  await startAgent('pjt_used-before-and-refused')
  expect(plane.joins).toBe(1)
})

test('an order is carried out and reported, and so is its end', async () => {
  await startAgent(newToken())
  const order = orderFor()
  await plane.order(order)
  await reported(order.sessionId, 'provisioned')
  expect(await objectsOf(order.sessionId)).toHaveLength(3)
  await plane.order({ ...order, version: 2, wanted: false })
  await reported(order.sessionId, 'removed')
  expect(await objectsOf(order.sessionId)).toEqual([])
})

test('no order is carried out that the session service did not sign for this cluster now', async () => {
  await startAgent(newToken())
  const genuine = orderFor()
  const forged = [
    signed(orderFor(), await authority.identity('service/tunnel-broker')),
    signed(orderFor(), await authority.identity('gateway/g1')),
    signed(orderFor(), await (await createAuthority()).identity('service/session')),
    plane.signed(orderFor({ clusterId: newId('cluster') })),
    { ...plane.signed(genuine), order: plane.signed(orderFor()).order },
    { ...plane.signed(orderFor()), signature: Buffer.alloc(64) },
    { ...plane.signed(orderFor()), chain: [] },
    plane.signed(orderFor({ account: 'default' })),
    plane.signed(orderFor({ account: 'ptr-../x' })),
    plane.signed(orderFor({ expiresAt: undefined })),
    plane.signed(orderFor({ sessionId: 'x' })),
  ]
  for (const order of forged) plane.send(order)
  // What was over before it came is not made either.
  const expired = orderFor({ expiresAt: new Date(Date.now() - 1000).toISOString() })
  await plane.order(expired)
  const last = orderFor()
  await plane.order(last)
  await reported(last.sessionId, 'provisioned')
  const made = await cluster.kubectl(['get', 'serviceaccounts', '-n', 'postern-jit', '-o', 'name'])
  const names = made.split('\n').filter((name) => name.includes('ptr-'))
  expect(names).toEqual([`serviceaccount/${last.account}`])
  await plane.order({ ...last, version: 2, wanted: false })
  await reported(last.sessionId, 'removed')
})

test('an old order that is played again does not bring an ended session back', async () => {
  await startAgent(newToken())
  const order = orderFor()
  const old = plane.signed(order)
  plane.send(old)
  await reported(order.sessionId, 'provisioned')
  await plane.order({ ...order, version: 2, wanted: false })
  await reported(order.sessionId, 'removed')
  plane.send(old)
  const other = orderFor()
  await plane.order(other)
  await reported(other.sessionId, 'provisioned')
  expect(await objectsOf(order.sessionId)).toEqual([])
})

test('a session that ended while the agent was away is removed when it hears the rest', async () => {
  const first = await startAgent(newToken())
  const [gone, kept] = [orderFor(), orderFor()]
  await plane.order(gone)
  await plane.order(kept)
  await reported(gone.sessionId, 'provisioned')
  await reported(kept.sessionId, 'provisioned')
  await first.agent.stop()
  plane.forgetOrders()
  await plane.order(kept)
  await startAgent()
  await vi.waitFor(async () => expect(await objectsOf(gone.sessionId)).toEqual([]), {
    timeout: 15_000,
    interval: 250,
  })
  expect(await objectsOf(kept.sessionId)).toHaveLength(3)
})

test('the agent comes back by itself when its relay breaks every connection', async () => {
  await startAgent(newToken())
  plane.relay.cut()
  const order = orderFor()
  await plane.order(order)
  await reported(order.sessionId, 'provisioned')
})

test('the agent says how it is, and which namespaces there are as soon as one is made', async () => {
  await startAgent(newToken())
  await vi.waitFor(() => {
    const last = plane.statuses.at(-1)
    expect(last).toMatchObject({ problems: [], namespacesListed: true })
    expect(last?.kubernetesVersion).toMatch(/^v1\./)
  }, 60_000)
  await cluster.apply(
    'apiVersion: v1\nkind: Namespace\nmetadata: {name: green, labels: {team: green}}',
  )
  await vi.waitFor(
    () => {
      const green = plane.statuses.at(-1)?.namespaces.find(({ name }) => name === 'green')
      expect(green?.labels).toMatchObject({ team: 'green' })
    },
    { timeout: 60_000, interval: 50 },
  )
})

test('an agent whose certificate is dead removes what has expired before it ends, and nothing else', async () => {
  const hours = (count: number) => new Date(Date.now() + count * HOUR_MS)
  const { agent } = await startAgent(newToken())
  const expired = orderFor({ expiresAt: hours(1).toISOString() })
  const running = orderFor({ expiresAt: hours(9).toISOString() })
  for (const order of [expired, running]) {
    await plane.order(order)
    await reported(order.sessionId, 'provisioned')
  }
  await agent.stop()
  // Two hours later its certificate has ended, and the join token was used.
  await expect(startAgent(undefined, () => hours(2))).rejects.toMatchObject({
    cause: { message: expect.stringContaining('apply a new join manifest') },
  })
  expect(await objectsOf(expired.sessionId)).toEqual([])
  expect(await objectsOf(running.sessionId)).toHaveLength(3)
})

describe('in a pod, with the manifest as it is', () => {
  const apply = async () => {
    const manifest = await cluster.manifest({
      agentImage: IMAGE,
      clusterName: 'test',
      joinToken: newToken(),
      relays: plane.relay.address,
      roots: authority.ca,
      tierNames: cluster.tiers,
      trustDomain: TRUST_DOMAIN,
    })
    await cluster.apply(manifest)
  }
  afterEach(async () => {
    await cluster.kubectl(['delete', 'deployment', 'postern-agent', '-n', 'postern-system'])
  })

  test('an agent carries orders out', async () => {
    await apply()
    const order = orderFor()
    await plane.order(order)
    await reported(order.sessionId, 'provisioned')
    expect(plane.statuses.at(-1)?.problems).toEqual([])
    await plane.order({ ...order, version: 2, wanted: false })
    await reported(order.sessionId, 'removed')
  }, 60_000)

  test('an agent that was removed removes all that it made, and then ends, again after a restart', async () => {
    await apply()
    const orders = [orderFor(), orderFor()]
    for (const order of orders) {
      await plane.order(order)
      await reported(order.sessionId, 'provisioned')
    }
    plane.removeAgents()
    const ended = async () => {
      const path = '{.items[*].status.containerStatuses[*].lastState.terminated.exitCode}'
      const of = ['-n', 'postern-system', '-l', 'app.kubernetes.io/name=postern-agent']
      return await cluster.kubectl(['get', 'pods', ...of, '-o', `jsonpath=${path}`])
    }
    await vi.waitFor(async () => expect(await ended()).toContain('1'), {
      timeout: 60_000,
      interval: 200,
    })
    // It did not end before.
    for (const { sessionId } of orders) expect(await objectsOf(sessionId)).toEqual([])
  }, 120_000)
})

test('neither token, key nor join token is ever logged', async () => {
  const token = newToken()
  const { log } = await startAgent(token)
  const order = orderFor()
  await plane.order(order)
  await reported(order.sessionId, 'provisioned')
  const text = JSON.stringify(log.records)
  expect(text).not.toContain(token)
  expect(text).not.toContain('PRIVATE KEY')
  expect(text).not.toMatch(/eyJ[A-Za-z0-9_-]{20,}/)
})
