import { until } from '@postern/fixtures'
import { createCsr, newSecret } from '@postern/pki'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { type RunningTunnelBroker, runTunnelBroker } from './running-tunnel-broker.ts'

let broker: RunningTunnelBroker

beforeAll(async () => {
  broker = await runTunnelBroker({ postgresUrl: inject('postgresUrl') })
})

afterAll(async () => {
  await broker.stop()
})

const INVALID = { code: 7, reason: 'JOIN_TOKEN_INVALID' }

async function createCluster(name: string) {
  const { cluster } = await broker.clusters.createCluster({ name }, broker.root)
  if (cluster === undefined) throw new Error('no cluster was answered')
  return cluster
}

test('without a relay there is no manifest, and no token is issued', async () => {
  await createCluster('too-early')
  await expect(
    broker.clusters.createJoinManifest({ cluster: 'too-early' }, broker.root),
  ).rejects.toMatchObject({ reason: 'NO_RELAY' })
  const relay = await broker.relay('r1')
  await relay.registerRelay({ agentAddress: 'relay.example:443', gatewayAddress: '10.0.0.1:8443' })
  expect(await broker.joinToken('too-early')).toMatch(/^pjt_/)
})

test('of a hundred who redeem one join token at once, exactly one gets in', async () => {
  const { id } = await createCluster('raced')
  const token = await broker.joinToken('raced')
  // More streams than one connection may have: as many connections as joining agents would make.
  const clients = Array.from({ length: 10 }, () => broker.anonymous())
  const attempts = Array.from(
    { length: 100 },
    async (_, index) => await broker.join(token, clients[index % clients.length]),
  )
  const outcomes = await Promise.allSettled(attempts)
  const winners = outcomes.filter((outcome) => outcome.status === 'fulfilled')
  expect(winners).toHaveLength(1)
  const refusals = outcomes.filter((outcome) => outcome.status === 'rejected')
  for (const { reason } of refusals) expect(reason).toMatchObject(INVALID)
  const { cluster } = await broker.clusters.getCluster({ cluster: 'raced' }, broker.root)
  expect(cluster?.agents.map((agent) => agent.id)).toEqual([winners[0]?.value.agentId])
  expect(winners[0]?.value.clusterId).toBe(id)
})

test('a token that is used, expired, unknown or of a removed cluster gets one and the same answer', async () => {
  await createCluster('answers')
  const used = await broker.joinToken('answers')
  await broker.join(used)
  const expired = await broker.joinToken('answers')
  broker.advance(3601)
  await createCluster('gone')
  const gone = await broker.joinToken('gone')
  await broker.clusters.deleteCluster({ cluster: 'gone' }, broker.root)

  const issuedBefore = broker.others.authority.issued
  const messages = new Set<string>()
  for (const token of [used, expired, gone, newSecret('pjt_'), '', 'x'.repeat(10_000)]) {
    const error: unknown = await broker.join(token).catch((caught: unknown) => caught)
    expect(error).toMatchObject(INVALID)
    messages.add(error instanceof Error ? error.message : '')
  }
  expect(messages.size).toBe(1)
  // Nor did it cost a certificate.
  expect(broker.others.authority.issued).toBe(issuedBefore)
})

test('a failure of identity, or of the request, uses up no token', async () => {
  await createCluster('kept')
  const token = await broker.joinToken('kept')
  broker.others.authority.isDown = true
  await expect(broker.join(token)).rejects.toMatchObject({ code: 13 })
  broker.others.authority.isDown = false
  await expect(
    broker.anyone.join({ joinToken: token, csr: Buffer.from('x') }),
  ).rejects.toMatchObject({ code: 3, reason: 'INVALID_CSR' })
  expect((await broker.join(token)).chain.length).toBeGreaterThan(0)
})

test('the listener for anyone serves Join, and nothing else to nobody', async () => {
  const { anyone } = broker
  for (const call of [anyone.renew({}), anyone.reportStatus({})]) {
    await expect(call).rejects.toMatchObject({ code: 16, reason: 'CERTIFICATE_REQUIRED' })
  }
  const watch = async () => {
    for await (const _ of anyone.watchConfiguration({})) throw new Error('it was told something')
  }
  await expect(watch()).rejects.toMatchObject({ code: 16, reason: 'CERTIFICATE_REQUIRED' })
})

test('an agent that joined may renew, report and watch, until it is removed', async () => {
  await createCluster('agents')
  const { clusterId, agentId } = await broker.join(await broker.joinToken('agents'))
  const agent = await broker.agent(clusterId, agentId)
  await agent.reportStatus({
    version: '1',
    kubernetesVersion: 'v1.35.2',
    problems: ['no\tgood\n'],
  })
  const { cluster } = await broker.clusters.getCluster({ cluster: 'agents' }, broker.root)
  expect(cluster).toMatchObject({
    state: 2,
    kubernetesVersion: 'v1.35.2',
    agents: [{ id: agentId, version: '1', problems: ['no good'] }],
  })
  const { csr } = await createCsr()
  expect((await agent.renew({ csr })).chain.length).toBeGreaterThan(0)

  const removing = { cluster: 'agents', agentId }
  await broker.clusters.removeAgent(removing, broker.root)
  await broker.clusters.removeAgent(removing, broker.root)
  await expectRefused(clusterId, agentId)
  await expect(
    broker.clusters.removeAgent({ cluster: 'agents', agentId: 'x' }, broker.root),
  ).rejects.toMatchObject({ reason: 'INVALID_ID' })
})

test('the agents of a removed cluster are refused, and its name is free again', async () => {
  const { id } = await createCluster('removed')
  const { agentId } = await broker.join(await broker.joinToken('removed'))
  await broker.clusters.deleteCluster({ cluster: id }, broker.root)
  await expectRefused(id, agentId)
  expect((await createCluster('removed')).id).not.toBe(id)
})

test('an agent of one cluster is none of another', async () => {
  const { id: other } = await createCluster('other')
  await createCluster('own')
  const { agentId } = await broker.join(await broker.joinToken('own'))
  await expectRefused(other, agentId)
})

test('an agent learns of a relay that comes, at once', async () => {
  await createCluster('watches')
  const { clusterId, agentId } = await broker.join(await broker.joinToken('watches'))
  const agent = await broker.agent(clusterId, agentId)
  const end = new AbortController()
  const seen: { clusterName: string; relayAddresses: string[] }[] = []
  const watching = (async () => {
    for await (const told of agent.watchConfiguration({}, { signal: end.signal })) seen.push(told)
  })().catch(() => undefined)
  await until(async () => seen.length === 1)
  await (await broker.relay('r2')).registerRelay({
    agentAddress: 'second.example:443',
    gatewayAddress: '10.0.0.2:8443',
  })
  // Long before it would look again by itself.
  await until(async () => seen.length === 2, 5_000)
  expect(seen).toEqual([
    { clusterName: 'watches', relayAddresses: ['relay.example:443'] },
    { clusterName: 'watches', relayAddresses: ['relay.example:443', 'second.example:443'] },
  ])
  end.abort()
  await watching
})

test('a cluster that is full takes no agent and keeps the token; those that are gone for good make room', async () => {
  const { id } = await createCluster('full')
  for (let index = 0; index < 16; index += 1) await broker.join(await broker.joinToken('full'))
  const token = await broker.joinToken('full')
  const full = { code: 8, reason: 'TOO_MANY_AGENTS' }
  await expect(broker.join(token)).rejects.toMatchObject(full)
  await expect(broker.join(token)).rejects.toMatchObject(full)

  const agents = async () =>
    (await broker.clusters.getCluster({ cluster: 'full' }, broker.root)).cluster?.agents ?? []
  const [silent, heard] = await agents()
  if (silent === undefined || heard === undefined) throw new Error('no agents')
  await broker.age(silent.id, 3)
  await broker.age(heard.id, 3)
  await (await broker.agent(id, heard.id)).reportStatus({ version: '1' })
  const { agentId } = await broker.join(token)
  const now = (await agents()).map((agent) => agent.id)
  expect(now).toHaveLength(16)
  expect(now).toContain(agentId)
  expect(now).toContain(heard.id)
  expect(now).not.toContain(silent.id)
  await expectRefused(id, silent.id)
})

async function expectRefused(clusterId: string, agentId: string): Promise<void> {
  const agent = await broker.agent(clusterId, agentId)
  const refused = { code: 7, reason: 'AGENT_REMOVED' }
  await expect(agent.renew({})).rejects.toMatchObject(refused)
  await expect(agent.reportStatus({ version: '1' })).rejects.toMatchObject(refused)
  const watch = async () => {
    for await (const _ of agent.watchConfiguration({})) throw new Error('it was told something')
  }
  await expect(watch()).rejects.toMatchObject(refused)
}
