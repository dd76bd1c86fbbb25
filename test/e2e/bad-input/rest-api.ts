import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { changesNothing } from '../support/changes-nothing.ts'
import { runs } from '../support/config.ts'
import type { E2eWorld } from '../support/e2e-world.ts'
import { type Answer, messageOf, sendRaw } from '../support/http.ts'
import { grant, REFUSED_CALLS, type RefusedCall } from './refused-calls.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const MIB = 1024 * 1024
const RUNS = runs(250)

const AS_NOBODY = ['/v1/users', '/v1/clusters', '/v1/audit/records', '/v1/kubeconfig', '/v1/whoami']

/** What the public API refuses, and how. */
export function restApi(world: () => E2eWorld): void {
  describe('the public API', () => {
    let admin = ''
    beforeAll(() => {
      admin = world().admin.api.token ?? ''
    })
    type Call = Pick<RefusedCall, 'path' | 'body'> & { readonly method?: string }
    const call = (token: string | undefined, { path, method = 'POST', body }: Call) => {
      const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body)
      const content = text === undefined ? {} : { body: text, headers: JSON_TYPE }
      return world().api(token, { path, method, ...content })
    }

    test('every refusal says what is wrong, and changes nothing', async () => {
      await changesNothing(world(), async () => {
        const wrong: string[] = []
        for (const one of REFUSED_CALLS) {
          const { status, detail } = problemOf(await call(admin, one))
          if (status === one.status && one.wanted.test(detail)) continue
          const { method, path, body } = one
          wrong.push(`${method} ${path} ${JSON.stringify(body)}: ${status} ${detail}`)
        }
        expect(wrong).toEqual([])
      })
    })

    test('a body of another type, or of more than a MiB, is not read', async () => {
      await changesNothing(world(), async () => {
        for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml']) {
          const headers = { 'content-type': type }
          const order = { path: '/v1/users', method: 'POST', headers, body: '{"name":"x"}' }
          const answer = await world().api(admin, order)
          expect(answer.status).toBe(415)
          expect(messageOf(answer)).toMatch(/application\/json/)
        }
        const body = JSON.stringify({ name: 'x', displayName: 'a'.repeat(2 * MIB) })
        const tooLarge = await world().api(admin, {
          path: '/v1/users',
          method: 'POST',
          headers: JSON_TYPE,
          body,
        })
        expect(tooLarge.status).toBe(413)
        expect(messageOf(tooLarge)).toMatch(/larger than 1 MiB/)
      })
    })

    test('what is no HTTP gets one answer in JSON and an end', async () => {
      const { ca, platform } = world()
      const port = platform.ports.console
      await changesNothing(world(), async () => {
        for (const bytes of [
          'HELLO\r\n\r\n',
          `POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${admin}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
          `GET /v1/users HTTP/1.1\r\nHost: x\r\nX: a\n b\r\n\r\n`,
        ]) {
          const { text, closed } = await sendRaw({ port, ca, bytes })
          expect(text).toMatch(/^HTTP\/1\.1 400 .*application\/problem\+json/s)
          expect(closed).toBe(true)
        }
      })
    })

    test('nobody gets anything without a token, and a user nothing that is not theirs', async () => {
      const { secret } = await world().token('lead')
      await changesNothing(world(), async () => {
        for (const path of AS_NOBODY) {
          const answer = await world().api(undefined, { path })
          expect(answer.status).toBe(401)
          expect(messageOf(answer)).toMatch(/sign in first/)
        }
        for (const refused of [
          { path: '/v1/users', body: { name: 'mine' } },
          { path: '/v1/grants', body: grant({ subjects: ['user:lead'] }) },
          { path: '/v1/groups/administrators/members', body: { user: 'lead' } },
          { path: '/v1/tokens', body: { user: 'admin' } },
          { path: '/v1/users/admin/password', body: { newPassword: 'a new long password' } },
          { path: '/v1/clusters/alpha/join-manifest', body: {} },
          { path: '/v1/roles/developer', method: 'DELETE', body: undefined },
          { path: '/v1/grants/developers-everywhere', method: 'DELETE', body: undefined },
          { path: '/v1/clusters/alpha', method: 'DELETE', body: undefined },
          { path: '/v1/audit/records', method: 'GET', body: undefined },
        ]) {
          const answer = await call(secret, refused)
          expect({ ...refused, status: answer.status }).toEqual({ ...refused, status: 403 })
          expect(messageOf(answer)).toMatch(/permission|only for yourself/)
        }
      })
    })

    test('whatever is sent to whatever call, nothing fails inside and nothing changes', async () => {
      const openApi = await world().api(undefined, { path: '/openapi.json' })
      const { paths }: { paths: Record<string, Record<string, unknown>> } = JSON.parse(openApi.text)
      const calls = Object.entries(paths)
        .flatMap(([path, methods]) => Object.keys(methods).map((method) => ({ path, method })))
        // The ones that a wrong body does not keep from doing what they are for.
        .filter(({ path }) => !/logout|rebuild|kubeconfig/.test(path))
      expect(calls.length).toBeGreaterThan(30)
      const seed = Date.now() & 0x7fffffff
      const wrong = fc.oneof(fc.integer(), fc.boolean(), fc.constant([[]]), fc.constant({ a: {} }))
      const field = fc.oneof(fc.constant('name'), fc.constant('terms'), fc.string())
      const body = fc.oneof(
        fc.dictionary(
          fc.string({ minLength: 1 }).map((text) => `z${text}`),
          fc.jsonValue(),
          {
            minKeys: 1,
          },
        ),
        fc.tuple(field, wrong).map(([name, value]) => ({ [name]: value, zz: value })),
        fc.array(fc.jsonValue()),
      )
      const name = fc.oneof(
        fc.string({ minLength: 1 }),
        fc.string({ minLength: 1, unit: 'binary' }),
        fc.constantFrom('..', '\0', 'x\0', '\uFFFF'),
      )
      await changesNothing(world(), () =>
        fc.assert(
          fc.asyncProperty(fc.constantFrom(...calls), body, name, async (one, json, parameter) => {
            const path = one.path.replaceAll(/\{\w+\}/g, encodeURIComponent(parameter))
            const isRead = one.method === 'get'
            const answer = await call(admin, {
              method: one.method.toUpperCase(),
              path: isRead ? `${path}?zz=${encodeURIComponent(parameter)}` : path,
              body: isRead ? undefined : json,
            })
            const { status, text } = answer
            const isRefused = status >= 400 && status < 500
            expect({ ...one, path, status, text, isRefused }).toMatchObject({ isRefused: true })
            expect(problemOf(answer).detail).not.toBe('')
          }),
          { seed, numRuns: RUNS },
        ),
      )
    })
  })
}

function problemOf(answer: Answer): { status: number; detail: string } {
  const type = String(answer.headers['content-type'])
  expect(type).toContain('application/problem+json')
  expect(answer.text).not.toMatch(/node:internal|at .*\.ts:|select |postgres/i)
  return { status: answer.status, detail: messageOf(answer) }
}
