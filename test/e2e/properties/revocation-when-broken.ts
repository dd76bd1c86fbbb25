import { performance } from 'node:perf_hooks'
import { eventually } from '@postern/bootstrap'
import { startTcpProxy, type TcpProxy } from '@postern/fixtures'
import { describe, expect, test } from 'vitest'
import { CLUSTER, type E2eWorld } from '../support/e2e-world.ts'
import { startGatewayProcess } from '../support/gateway-process.ts'
import { type Answer, messageOf } from '../support/http.ts'
import { freeze } from '../support/process-tree.ts'
import { bothStreams, LEASE_MS } from './revocation.ts'

const PODS = '/api/v1/namespaces/team/pods'
/** For a busy machine; the lease itself is counted from before the request for it. */
const SLACK_MS = 1000
/** How long a stream that only reads may go on without a lease. */
const WATCH_GRACE_MS = 10_000

export function revocationWhenBroken(world: () => E2eWorld): void {
  describe('property 3: whatever is broken', () => {
    const granted = async (user: string) => {
      const { api } = world().admin
      await world().createUser(user)
      const terms = {
        subjects: [`user:${user}`],
        role: 'developer',
        clusters: [CLUSTER],
        namespaces: { all: true },
      }
      await api.call('POST', '/v1/grants', { name: user, terms })
      return (await world().token(user)).secret
    }

    test('nats-server hangs: a revocation still cuts within the lease, and nothing else suffers', async () => {
      const token = await granted('without-bus')
      const [exec, watch] = await bothStreams(world(), token)
      const thaw = freeze(world().platform.nats.current().pid)
      try {
        expect((await world().ask(token, { path: PODS })).status).toBe(200)
        await world().admin.api.call('DELETE', '/v1/grants/without-bus')
        const revokedAt = performance.now()
        for (const { ended } of [exec, watch]) {
          const { at, text } = await ended
          expect(text).toMatch(/Postern ended this stream: .*no grant/)
          expect(at - revokedAt).toBeLessThan(LEASE_MS + SLACK_MS)
        }
        expect((await world().ask(token, { path: PODS })).status).toBe(403)
        const { secret } = await world().token('lead')
        await eventually('others to go on', 60_000, async () => {
          expect((await world().ask(secret, { path: PODS })).status).toBe(200)
        })
      } finally {
        thaw()
      }
    })

    test('PostgreSQL hangs: no access after the lease, and none again for what is revoked meanwhile', async () => {
      const token = await granted('without-database')
      const [exec] = await bothStreams(world(), token)
      const thaw = freeze(world().platform.postgres.current().pid)
      const frozenAt = performance.now()
      let revoking: Promise<unknown> = Promise.resolve()
      try {
        // Asked for while nobody can write it down.
        revoking = world().admin.api.call('DELETE', '/v1/grants/without-database')
        revoking.catch(() => {})
        const { last, refusal } = await askUntilRefused(() => world().ask(token, { path: PODS }))
        expect(refusal.status).toBe(503)
        expect(messageOf(refusal)).toMatch(/cannot confirm that your access is still current/)
        expect(last - frozenAt).toBeLessThan(LEASE_MS + SLACK_MS)
        const { text, at } = await exec.ended
        expect(text).toMatch(/could no longer confirm that your access is current/)
        expect(at - frozenAt).toBeLessThan(LEASE_MS + SLACK_MS)
      } finally {
        thaw()
      }
      await revoking
      const answer = await eventually('the gateway to know again', 60_000, async () => {
        const found = await world().ask(token, { path: PODS })
        expect(found.status).not.toBe(503)
        return found
      })
      expect(answer.status).toBe(403)
    })

    test('one of the two connections to each service hangs: access goes on, and a revocation still cuts', async () => {
      const proxies = await proxiesToServices(world())
      const settings = Object.fromEntries(
        proxies.map(({ setting, proxy }) => [setting, proxy.address]),
      )
      const gateway = await startGatewayProcess(world(), 'half-cut', { settings })
      try {
        const followed = proxies.filter(({ setting }) => setting !== 'POSTERN_AUDIT_ADDRESS')
        for (const round of ['first', 'second']) {
          await eventually('two connections to each service', 60_000, async () => {
            expect(followed.map(({ proxy }) => proxy.open)).toEqual(followed.map(() => 2))
          })
          const user = `half-cut-${round}`
          const token = await granted(user)
          const [exec, watch] = await bothStreams(world(), token, { gatewayUrl: gateway.url })
          // The one that is left is the oldest of the next round.
          for (const { proxy } of followed) proxy.hangOldest()
          const hungAt = performance.now()
          while (performance.now() - hungAt < 2 * LEASE_MS) {
            expect((await gateway.ask(token, { path: PODS })).status).toBe(200)
          }
          await world().admin.api.call('DELETE', `/v1/grants/${user}`)
          const revokedAt = performance.now()
          for (const { ended } of [exec, watch]) {
            const { at, text } = await ended
            expect(text).toMatch(/Postern ended this stream: .*no grant/)
            expect(at - revokedAt).toBeLessThan(LEASE_MS + SLACK_MS)
          }
          expect((await gateway.ask(token, { path: PODS })).status).toBe(403)
        }
      } finally {
        await gateway.kill()
        for (const { proxy } of proxies) await proxy.close()
      }
    })

    test('a gateway that hears nothing any more serves nothing: what is revoked behind its back ends with its lease', async () => {
      const proxies = await proxiesToServices(world())
      const settings = Object.fromEntries(
        proxies.map(({ setting, proxy }) => [setting, proxy.address]),
      )
      const gateway = await startGatewayProcess(world(), 'partitioned', { settings })
      let thawNats: () => void = () => {}
      try {
        const token = await granted('behind-its-back')
        const where = { gatewayUrl: gateway.url }
        const revoked = await bothStreams(world(), token, where)
        const { secret } = await world().token('lead')
        const [bystandersExec, bystandersWatch] = await bothStreams(world(), secret, where)
        thawNats = freeze(world().platform.nats.current().pid)
        for (const { proxy } of proxies) proxy.freeze()
        const cutOffAt = performance.now()
        await world().admin.api.call('DELETE', '/v1/grants/behind-its-back')

        // The agent may be the first to know: the session has ended there too.
        const { last, refusal } = await askUntilRefused(() => gateway.ask(token, { path: PODS }))
        expect([503, 504]).toContain(refusal.status)
        expect(last - cutOffAt).toBeLessThan(LEASE_MS + SLACK_MS)
        for (const { ended } of [...revoked, bystandersExec]) {
          expect((await ended).at - cutOffAt).toBeLessThan(LEASE_MS + SLACK_MS)
        }
        const unsure = await gateway.ask(secret, { path: PODS })
        expect(unsure.status).toBe(503)
        expect(messageOf(unsure)).toMatch(/cannot confirm that your access is still current/)
        const { at, text } = await bystandersWatch.ended
        expect(at - cutOffAt).toBeLessThan(LEASE_MS + WATCH_GRACE_MS + SLACK_MS)
        expect(text).toMatch(/could no longer confirm/)

        for (const { proxy } of proxies) proxy.thaw()
        thawNats()
        const answer = await eventually('the gateway to hear again', 60_000, async () => {
          const found = await gateway.ask(token, { path: PODS })
          expect(found.status).not.toBe(503)
          return found
        })
        expect(answer.status).toBe(403)
      } finally {
        thawNats()
        await gateway.kill()
        for (const { proxy } of proxies) await proxy.close()
      }
    })
  })
}

/** Asks again and again; answers when the last request was sent that was still served. */
async function askUntilRefused(
  ask: () => Promise<Answer>,
): Promise<{ readonly last: number; readonly refusal: Answer }> {
  let last = performance.now()
  const deadline = last + 30_000
  for (;;) {
    const sentAt = performance.now()
    const answer = await ask().catch(brokenOff)
    if (answer !== undefined && answer.status !== 200) return { last, refusal: answer }
    if (answer !== undefined) last = sentAt
    if (sentAt > deadline) throw new Error('it is still served')
  }
}

/** The right to an answer may end in the middle of it; then the answer does. */
function brokenOff(error: unknown): undefined {
  if (!(error instanceof Error && error.message === 'aborted')) throw error
}

async function proxiesToServices({
  platform,
}: E2eWorld): Promise<{ readonly setting: string; readonly proxy: TcpProxy }[]> {
  const { ports } = platform
  const services = {
    POSTERN_IDENTITY_ADDRESS: ports.identity,
    POSTERN_POLICY_ADDRESS: ports.policy,
    POSTERN_SESSION_ADDRESS: ports.session,
    POSTERN_TUNNEL_BROKER_ADDRESS: ports.tunnelBroker,
    POSTERN_AUDIT_ADDRESS: ports.audit,
  }
  return await Promise.all(
    Object.entries(services).map(async ([setting, port]) => ({
      setting,
      proxy: await startTcpProxy({ host: '127.0.0.1', port }),
    })),
  )
}
