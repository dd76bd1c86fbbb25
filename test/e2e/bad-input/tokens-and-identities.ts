import { eventually } from '@postern/bootstrap'
import { describe, expect, test } from 'vitest'
import { changesNothing } from '../support/changes-nothing.ts'
import { CLUSTER, type E2eWorld } from '../support/e2e-world.ts'
import { messageOf, sendRaw } from '../support/http.ts'
import { words } from '../support/words.ts'

const PODS = '/api/v1/namespaces/team/pods'

/** Whom the gateway and the public API believe. */
export function tokensAndIdentities(world: () => E2eWorld): void {
  describe('tokens', () => {
    const RENEW = /Sign in again with "postern login"/
    const neverIssued = `ptk_${'A'.repeat(43)}`

    test.each([
      { name: 'no token', headers: {}, wanted: /carries no bearer token/ },
      {
        name: 'a token that was never issued',
        headers: { authorization: `Bearer ${neverIssued}` },
        wanted: /revoked or is not known/,
      },
      {
        name: 'a text that is no token',
        headers: { authorization: 'Bearer ../../etc' },
        wanted: /revoked or is not known/,
      },
      {
        name: 'a very long one',
        headers: { authorization: `Bearer ${'x'.repeat(60_000)}` },
        wanted: /revoked or is not known/,
      },
      {
        name: 'a name and password',
        headers: { authorization: 'Basic YWRtaW46YWRtaW4=' },
        wanted: /exactly one Authorization header/,
      },
      {
        name: 'an empty token',
        headers: { authorization: 'Bearer ' },
        wanted: /exactly one Authorization header/,
      },
    ])('$name is refused by the gateway', async ({ headers, wanted }) => {
      const answer = await changesNothing(world(), () =>
        world().ask(undefined, { path: PODS, headers }),
      )
      expect(answer.status).toBe(401)
      expect(messageOf(answer)).toMatch(wanted)
      expect(messageOf(answer)).toMatch(RENEW)
    })

    test('two Authorization lines are refused, also where the first one is good', async () => {
      const { secret } = await world().token('lead')
      const { platform, ca } = world()
      const line = (token: string) => `Authorization: Bearer ${token}\r\n`
      for (const lines of [line(secret) + line(secret), line(secret) + line(neverIssued)]) {
        const bytes = `GET /clusters/${CLUSTER}${PODS} HTTP/1.1\r\nHost: 127.0.0.1\r\n${lines}\r\n`
        const { text, closed } = await changesNothing(world(), () =>
          sendRaw({ port: platform.ports.gateway, ca, bytes }),
        )
        expect(text).toMatch(/^HTTP\/1\.1 401 .*exactly one Authorization header/s)
        expect(closed).toBe(true)
      }
    })

    test('a token of the cluster itself opens nothing in Postern', async () => {
      const { kubectl } = world().cluster(CLUSTER)
      const agents = await kubectl.ok(words('create token postern-agent -n postern-system'))
      const answer = await changesNothing(world(), () => world().ask(agents.trim(), { path: PODS }))
      expect(answer.status).toBe(401)
      const api = await world().api(agents.trim(), { path: '/v1/users' })
      expect(api.status).toBe(401)
    })

    test('a token in the query, in a cookie or in a forwarded header is none', async () => {
      const { secret } = await world().token('lead')
      for (const order of [
        { path: `${PODS}?access_token=${secret}` },
        { path: PODS, headers: { cookie: `token=${secret}` } },
        { path: PODS, headers: { 'x-forwarded-authorization': `Bearer ${secret}` } },
        { path: PODS, headers: { 'proxy-authorization': `Bearer ${secret}` } },
      ]) {
        const answer = await changesNothing(world(), () => world().ask(undefined, order))
        expect(answer.status).toBe(401)
      }
    })

    test('an expired token says since when; a revoked one and one of a disabled user end too', async () => {
      await world().createUser('leaver', ['developers'])
      const short = await world().token('lead', '1s')
      const revoked = await world().token('lead')
      const leavers = await world().token('leaver')
      const { api } = world().admin
      await api.call('DELETE', `/v1/tokens/${revoked.id}`)
      await api.call('POST', '/v1/users/leaver/disable', {})
      await eventually('the token to expire', 60_000, async () => {
        const answer = await world().ask(short.secret, { path: PODS })
        expect(answer.status).toBe(401)
        expect(messageOf(answer)).toMatch(/expired at 20\d\d-.*Sign in again/)
      })
      await eventually('the others to be known', 2_000, async () => {
        expect((await world().ask(revoked.secret, { path: PODS })).status).toBe(401)
        expect((await world().ask(leavers.secret, { path: PODS })).status).toBe(401)
      })
      await changesNothing(world(), async () => {
        for (const { secret } of [short, revoked, leavers]) {
          expect((await world().ask(secret, { path: PODS })).status).toBe(401)
          const answer = await world().api(secret, { path: '/v1/whoami' })
          expect(answer.status).toBe(401)
          expect(messageOf(answer)).toMatch(/sign in/i)
        }
      })
    })
  })
}
