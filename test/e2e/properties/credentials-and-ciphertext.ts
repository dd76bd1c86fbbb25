import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { platform } from 'node:os'
import { join } from 'node:path'
import { createKubectl, eventually, type Kubectl } from '@postern/bootstrap'
import { startTcpProxy, type TcpProxy } from '@postern/fixtures'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { doneInCluster } from '../support/changes-nothing.ts'
import { CLUSTER, type E2eWorld } from '../support/e2e-world.ts'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'
import { agentOf } from '../support/process-tree.ts'
import { filesWith, holdsToken, JWT_BEGINNING, tablesWith } from '../support/search.ts'
import { openExec } from '../support/streams.ts'

const POD = '/api/v1/namespaces/team/pods/box'
const MARKER = `marker-${randomBytes(12).toString('hex')}`
const REPEATED = 4000

/** A gateway of its own whose way to the relay is listened to. */
export function credentialsAndCiphertext(world: () => E2eWorld): void {
  describe('what a relay sees and what a gateway holds', () => {
    let wire: TcpProxy
    let gateway: GatewayProcess
    let kubectl: Kubectl
    let token = ''

    beforeAll(async () => {
      const e2e = world()
      wire = await startTcpProxy({ host: '127.0.0.1', port: e2e.platform.ports.relay })
      const settings = { POSTERN_GATEWAY_RELAY_ADDRESSES: wire.address }
      gateway = await startGatewayProcess(e2e, 'tapped', { settings })
      await e2e.kubectlOf('lead', CLUSTER)
      const ours = readFileSync(e2e.kubeconfigFile('lead', CLUSTER), 'utf8')
      token = /token: (\S+)/.exec(ours)?.[1] ?? ''
      const kubeconfig = join(e2e.dir, 'tapped.kubeconfig')
      writeFileSync(kubeconfig, gateway.readdressed(ours))
      const cacheDir = join(e2e.dir, 'cache-tapped')
      kubectl = createKubectl({ program: e2e.kubectlProgram, kubeconfig, cacheDir })
      await eventually('the gateway to reach the cluster', 60_000, () =>
        kubectl.ok(['get', 'pods', '-n', 'team']),
      )
    })
    afterAll(async () => {
      await gateway.kill()
      await wire.close()
    })

    test('property 6: the relay sees ciphertext only: nothing of what is sent, answered or signed in with', async () => {
      const text = `${MARKER}\n`.repeat(REPEATED)
      const manifest = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: MARKER } }
      const object = JSON.stringify({ ...manifest, data: { text } })
      await kubectl.ok(['create', '-n', 'team', '-f', '-'], object)
      const read = await kubectl.ok(['get', 'configmap', MARKER, '-n', 'team', '-o', 'yaml'])
      expect(read).toContain(MARKER)
      const echoed = await kubectl.ok(['exec', '-i', 'box', '-n', 'team', '--', 'cat'], text)
      expect(echoed).toBe(text)

      const seen = wire.seen()
      // There and back, twice: it did come this way.
      expect(seen.length).toBeGreaterThan(4 * text.length)
      expect(seen.includes('POSTERN-PAIR/1 ')).toBe(true)
      for (const secret of [MARKER, token, JWT_BEGINNING, 'configmaps', 'HTTP/1.1', 'ConfigMap']) {
        expect({ secret, isSeen: seen.includes(secret) }).toEqual({ secret, isSeen: false })
      }
    })

    test('property 6: a relay that changes a bit breaks the connection, and nothing of it reaches the cluster', async () => {
      const before = doneInCluster(world()).length
      wire.damage(true)
      const name = `damaged-${MARKER}`
      const answer = await gateway.ask(token, {
        method: 'POST',
        path: '/api/v1/namespaces/team/configmaps',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } }),
      })
      wire.damage(false)
      expect([502, 503, 504]).toContain(answer.status)
      expect(doneInCluster(world()).slice(before)).toEqual([])
      await eventually('whole bits to work again', 60_000, async () => {
        expect((await gateway.ask(token, { path: POD })).status).toBe(200)
      })
    })

    test('property 5: no token of the cluster leaves it: not in any answer, table, log, spool or file of the platform', async () => {
      const e2e = world()
      const answers = await Promise.all(
        ['/api', '/api/v1/namespaces/team/pods', POD, '/api/v1/namespaces/postern-jit/secrets']
          .concat('/apis/apps/v1', '/api/v1/namespaces/team/events', '/nonsense')
          .map((path) => gateway.ask(token, { path })),
      )
      const review = await gateway.ask(token, {
        method: 'POST',
        path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
        headers: { 'content-type': 'application/json' },
        body: '{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}',
      })
      for (const { text, headers } of [...answers, review]) {
        expect(text + JSON.stringify(headers)).not.toContain(JWT_BEGINNING)
      }
      const exec = await openExec(e2e, token, { gatewayUrl: gateway.url })
      exec.close()
      expect(exec.text()).not.toContain(JWT_BEGINNING)

      expect(await tablesWith(e2e, JWT_BEGINNING)).toEqual([])
      // The cluster's own folder is the cluster.
      expect(filesWith(e2e.dir, JWT_BEGINNING, [CLUSTER])).toEqual([])
      // And it would have been found.
      expect(await tablesWith(e2e, 'ptr-')).toContain('session.sessions')
      writeFileSync(join(e2e.dir, 'planted'), Buffer.from(`\0${JWT_BEGINNING}JSUzI1NiJ9\0`))
      expect(filesWith(e2e.dir, JWT_BEGINNING, [CLUSTER])).toEqual([join(e2e.dir, 'planted')])
    })

    test.skipIf(platform() !== 'linux')(
      'property 5: the memory of a gateway that carried requests and streams holds no token; that of the agent does',
      async () => {
        const exec = await openExec(world(), token, { gatewayUrl: gateway.url })
        await gateway.ask(token, { path: POD })
        expect(holdsToken(agentOf(world().cluster(CLUSTER)))).toBe(true)
        expect(holdsToken(gateway.pid)).toBe(false)
        exec.close()
      },
    )
  })
}
