import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { eventually, readClusterAuditLog } from '@postern/bootstrap'
import { startTcpProxy } from '@postern/fixtures'
import { describe, expect, test } from 'vitest'
import { CLUSTER, type E2eWorld } from '../support/e2e-world.ts'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'
import { messageOf } from '../support/http.ts'
import { recordsWhere } from '../support/records.ts'
import { filesWith } from '../support/search.ts'
import { runService } from '../support/service-process.ts'
import { openExec } from '../support/streams.ts'
import { words } from '../support/words.ts'

const CONFIG_MAPS = '/api/v1/namespaces/team/configmaps'
const JSON_TYPE = { 'content-type': 'application/json' }
const MIB = 1024 * 1024

/** What must never run unrecorded, as requests. */
const MUST_BE_RECORDED = [
  { method: 'POST', path: CONFIG_MAPS, body: configMap('unrecorded') },
  { method: 'DELETE', path: '/api/v1/namespaces/team/pods/box' },
  { method: 'PATCH', path: '/api/v1/namespaces/team/pods/box', body: '{}' },
  { method: 'POST', path: '/api/v1/namespaces/team/pods/box/exec?command=id&stdout=true' },
] as const

export function nothingUnrecorded(world: () => E2eWorld): void {
  describe('property 2: nothing runs unrecorded', () => {
    test('the gateway is killed in the middle of an exec and a write: their intents are on its disk, and found as begun without an outcome', async () => {
      const { audit } = world().platform.ports
      // Nothing is delivered before the end: what is found then was on the disk.
      const wire = await startTcpProxy({ host: '127.0.0.1', port: audit })
      wire.freeze()
      const settings = { POSTERN_AUDIT_ADDRESS: wire.address }
      await world().createUser('unlucky', ['developers'])
      const { secret } = await world().token('unlucky')
      const gateway = await startGatewayProcess(world(), 'killed', { settings })
      let next: GatewayProcess | undefined
      try {
        const exec = await eventually('an exec to open', 60_000, () =>
          openExec(world(), secret, { gatewayUrl: gateway.url }),
        )
        const write = await halfARequest(world(), gateway, secret)
        await eventually('the intent of the write to be on the disk', 60_000, async () => {
          expect(filesWith(join(world().dir, 'killed', 'spool'), CONFIG_MAPS)).toHaveLength(1)
        })
        await gateway.kill('SIGKILL')
        await Promise.all([exec.ended, write.closed])
        expect(await recordsWhere(world(), 'user=unlucky')).toEqual([])

        next = await startGatewayProcess(world(), 'killed', { again: true })
        const open = await eventually('the intents to be delivered', 60_000, async () => {
          const found = await recordsWhere(world(), 'user=unlucky&openOnly=true')
          expect(found).toHaveLength(2)
          return found
        })
        expect(open.map(({ stage, verb }) => `${stage} ${verb}`).toSorted()).toEqual([
          'RequestReceived create',
          'RequestReceived get',
        ])
        const intent = open.find(({ objectRef }) => objectRef?.subresource === 'exec')
        const seen = readClusterAuditLog(world().cluster(CLUSTER))
        expect(seen.some(({ auditID }) => auditID === intent?.auditID)).toBe(true)
        const listed = await world().postern.ok(words('audit list --open --user unlucky'))
        expect(listed).toContain('team/pods/box/exec')
        expect(await configMapNames(world())).not.toContain('half')
      } finally {
        await gateway.kill()
        await next?.kill()
        await wire.close()
      }
    })

    test('a spool that is full refuses what must be recorded before it reaches the cluster, serves reads, and recovers', async () => {
      const wire = await startTcpProxy({
        host: '127.0.0.1',
        port: world().platform.ports.audit,
      })
      wire.freeze()
      const gateway = await startGatewayProcess(world(), 'full', {
        settings: {
          POSTERN_AUDIT_ADDRESS: wire.address,
          POSTERN_GATEWAY_SPOOL_BYTES_MAX: String(MIB),
        },
      })
      try {
        const { secret } = await world().token('lead')
        await fillSpool(gateway, secret)
        await expectRefused(world(), gateway, secret)
        expect((await gateway.ask(secret, { path: CONFIG_MAPS })).status).toBe(200)

        wire.thaw()
        await eventually('the spool to have room again', 60_000, async () => {
          const order = { method: 'POST', path: CONFIG_MAPS, body: configMap('recorded') }
          const { status } = await gateway.ask(secret, { ...order, headers: JSON_TYPE })
          expect([201, 409]).toContain(status)
        })
        expect(await configMapNames(world())).toContain('recorded')
      } finally {
        await gateway.kill()
        await wire.close()
      }
    })

    test('a disk that takes no more refuses what must be recorded before it reaches the cluster', async () => {
      // A file may have 256 KiB: the spool's own limit is far away.
      const gateway = await startGatewayProcess(world(), 'disk', { limits: 'ulimit -f 512' })
      try {
        const { secret } = await world().token('lead')
        await fillSpool(gateway, secret)
        await expectRefused(world(), gateway, secret)
      } finally {
        await gateway.kill()
      }
    })

    test('a gateway that has nowhere to write does not start', async () => {
      const file = join(world().dir, 'not-a-folder')
      writeFileSync(file, '')
      const settings = world().platform.environmentOf('gateway')
      const { code, output } = await runService('gateway', {
        ...settings,
        POSTERN_GATEWAY_LISTEN: '127.0.0.1:0',
        POSTERN_GATEWAY_SPOOL_DIR: join(file, 'spool'),
      })
      expect(code).toBe(1)
      expect(output).toMatch(/ENOTDIR/)
    })
  })
}

function configMap(name: string): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } })
}

async function configMapNames(world: E2eWorld): Promise<string> {
  return await world.cluster(CLUSTER).kubectl.ok(words('get configmaps -n team -o name'))
}

/** A write whose body never ends, once its head has been read. */
async function halfARequest(
  world: E2eWorld,
  gateway: GatewayProcess,
  token: string,
): Promise<{ readonly closed: Promise<unknown> }> {
  const body = configMap('half')
  const sent = request(`${gateway.url}/clusters/${CLUSTER}${CONFIG_MAPS}`, {
    method: 'POST',
    ca: world.ca,
    agent: false,
    headers: {
      authorization: `Bearer ${token}`,
      ...JSON_TYPE,
      'content-length': body.length,
      // Once it is told to go on, the gateway has read the head.
      expect: '100-continue',
    },
  })
  sent.on('error', () => {})
  const closed = new Promise((resolve) => sent.on('close', resolve))
  sent.flushHeaders()
  await once(sent, 'continue')
  sent.write(body.slice(0, -5))
  return { closed }
}

const READS_MAX = 300

/** Long addresses make long records; what is left in the end has no room for the shortest of all. */
async function fillSpool(gateway: GatewayProcess, token: string): Promise<void> {
  const path = `${CONFIG_MAPS}?labelSelector=${'a'.repeat(60)}%3D${'b'.repeat(60)}&x=${'c'.repeat(14_000)}`
  const read = async () => expect((await gateway.ask(token, { path })).status).toBe(200)
  const isFull = async () => {
    const shortest = await gateway.ask(token, { method: 'DELETE', path: '/api/v1/pods/x' })
    return shortest.status === 503
  }
  await eventually('the gateway to know the token', 60_000, read)
  for (let reads = 0; reads < READS_MAX; reads += 1) {
    await read()
    // The first may have been refused together with the long record of the read.
    if ((await isFull()) && (await isFull()) && (await isFull())) return
  }
  throw new Error('the spool does not get full')
}

async function expectRefused(
  world: E2eWorld,
  gateway: GatewayProcess,
  token: string,
): Promise<void> {
  const audit = () => readClusterAuditLog(world.cluster(CLUSTER))
  const before = audit().length
  for (const order of MUST_BE_RECORDED) {
    const answer = await gateway.ask(token, { ...order, headers: JSON_TYPE })
    expect({ ...order, status: answer.status }).toEqual({ ...order, status: 503 })
    expect(messageOf(answer)).toMatch(/must not run unrecorded/)
  }
  const changed = audit()
    .slice(before)
    .filter(({ verb, user }) => /postern-jit/.test(user.username) && !/get|list/.test(verb))
  expect(changed).toEqual([])
  expect(await configMapNames(world)).not.toContain('unrecorded')
}
