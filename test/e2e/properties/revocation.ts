import { performance } from 'node:perf_hooks'
import { eventually } from '@postern/bootstrap'
import { describe, expect, test } from 'vitest'
import { CLUSTER, type E2eWorld, LABELS } from '../support/e2e-world.ts'
import { messageOf } from '../support/http.ts'
import { type OpenStream, openExec, openWatch } from '../support/streams.ts'

const PODS = '/api/v1/namespaces/team/pods'
/** DESIGN.md section 4. */
export const LEASE_MS = 2000
/** A right that ends by the clock must first begin. */
const SOON_MS = 15_000

type Ending = {
  readonly name: string
  /** Of the token. */
  readonly lifetime?: string
  readonly notAfter?: () => string
  readonly clusterSelector?: object
  /** What ends the right; nothing where the clock does. */
  readonly end: (world: E2eWorld, facts: { user: string; tokenId: string }) => Promise<unknown>
  readonly reason: RegExp
  /** What the next request is answered. */
  readonly next: number
}

const role = (verbs: readonly string[]) => ({
  rules: [{ verbs, apiGroups: [''], resources: ['pods', 'pods/exec'] }],
})

/** Every way in which a right ends. Each user has a group, a role and a grant of the same name. */
const ENDINGS: readonly Ending[] = [
  {
    name: 'grant-revoked',
    end: ({ admin }, { user }) => admin.api.call('DELETE', `/v1/grants/${user}`),
    reason: /no grant/,
    next: 403,
  },
  {
    name: 'grant-expired',
    notAfter: () => new Date(Date.now() + SOON_MS).toISOString(),
    end: async () => {},
    reason: /grant \W+grant-expired\W+ ended at/,
    next: 403,
  },
  {
    name: 'grant-changed',
    async end({ admin }, { user }) {
      const terms = { ...termsOf(user), namespaces: { names: ['elsewhere'] } }
      await admin.api.call('PUT', `/v1/grants/${user}`, { terms })
    },
    reason: /grant/,
    next: 403,
  },
  {
    name: 'role-changed',
    end: ({ admin }, { user }) => admin.api.call('PUT', `/v1/roles/${user}`, role(['delete'])),
    reason: /grant/,
    next: 403,
  },
  {
    name: 'left-group',
    end: ({ admin }, { user }) => admin.api.call('DELETE', `/v1/groups/${user}/members/${user}`),
    reason: /no grant/,
    next: 403,
  },
  {
    name: 'group-deleted',
    end: ({ admin }, { user }) => admin.api.call('DELETE', `/v1/groups/${user}`),
    reason: /no grant/,
    next: 403,
  },
  {
    name: 'user-disabled',
    end: ({ admin }, { user }) => admin.api.call('POST', `/v1/users/${user}/disable`, {}),
    reason: /disabled|revoked/,
    next: 401,
  },
  {
    name: 'user-deleted',
    end: ({ admin }, { user }) => admin.api.call('DELETE', `/v1/users/${user}`),
    reason: /revoked|not known|deleted/,
    next: 401,
  },
  {
    name: 'password-set',
    end: ({ admin }, { user }) =>
      admin.api.call('POST', `/v1/users/${user}/password`, { newPassword: 'a new, long password' }),
    reason: /revoked/,
    next: 401,
  },
  {
    name: 'token-revoked',
    end: ({ admin }, { tokenId }) => admin.api.call('DELETE', `/v1/tokens/${tokenId}`),
    reason: /revoked/,
    next: 401,
  },
  {
    name: 'token-expired',
    lifetime: `${SOON_MS / 1000}s`,
    end: async () => {},
    reason: /expired/,
    next: 401,
  },
  {
    name: 'session-ended',
    async end({ admin }, { user }) {
      const { sessions } = await admin.api.call('GET', `/v1/sessions?user=${user}`)
      const [first]: unknown[] = Array.isArray(sessions) ? sessions : []
      if (typeof first !== 'object' || first === null || !('id' in first)) throw new Error('none')
      await admin.api.call('DELETE', `/v1/sessions/${String(first.id)}`)
    },
    reason: /your session on the cluster has ended/,
    // The right itself is still there: a new session is opened.
    next: 200,
  },
]

/** What a user of ENDINGS has. */
function termsOf(user: string): Record<string, unknown> {
  return {
    subjects: [`group:${user}`],
    role: user,
    clusters: [CLUSTER],
    namespaces: { all: true },
  }
}

export function revocation(world: () => E2eWorld): void {
  describe('property 3: a revocation bites within the lease', { concurrent: true }, () => {
    test.each(ENDINGS)(
      '$name: a running exec and a watch are cut with the reason, and nothing new begins',
      async ({ name: user, lifetime, notAfter, end, reason, next }) => {
        const { api } = world().admin
        await api.call('POST', '/v1/groups', { name: user })
        await api.call('POST', '/v1/roles', { name: user, ...role(['*']) })
        await world().createUser(user, [user])
        const until = notAfter === undefined ? {} : { notAfter: notAfter() }
        await api.call('POST', '/v1/grants', { name: user, terms: { ...termsOf(user), ...until } })
        const { secret, id: tokenId } = await world().token(user, lifetime)
        const [exec, watch] = await bothStreams(world(), secret)

        await end(world(), { user, tokenId })
        const endedAt = performance.now()
        const byClock = lifetime !== undefined || notAfter !== undefined
        for (const stream of [exec, watch]) {
          const { at, text } = await stream.ended
          expect(text).toContain('Postern ended this stream')
          expect(text).toMatch(reason)
          expect(at - endedAt).toBeLessThan(byClock ? SOON_MS + LEASE_MS : LEASE_MS)
        }
        const answer = await world().ask(secret, { path: PODS })
        expect(answer.status).toBe(next)
        expect(messageOf(answer)).not.toBe('')
      },
    )

    test('cluster-left: a cluster whose labels no longer match is left at once by those who had it by label', async () => {
      const { api } = world().admin
      await world().createUser('by-label')
      const terms = {
        subjects: ['user:by-label'],
        role: 'developer',
        clusterSelector: { matchLabels: { ring: 'outer' } },
        namespaces: { all: true },
      }
      await api.call('POST', '/v1/grants', { name: 'by-label', terms })
      const outer = { labels: { ...LABELS, ring: 'outer' } }
      await api.call('PUT', `/v1/clusters/${CLUSTER}/labels`, outer)
      const { secret } = await world().token('by-label')
      const streams = await bothStreams(world(), secret)
      await api.call('PUT', `/v1/clusters/${CLUSTER}/labels`, { labels: LABELS })
      const changedAt = performance.now()
      for (const { ended } of streams) {
        const { at, text } = await ended
        expect(text).toMatch(/Postern ended this stream: .*no grant/)
        expect(at - changedAt).toBeLessThan(LEASE_MS)
      }
    })
  })
}

/** Both open. A grant that was just made may be on its way to the gateway. */
export async function bothStreams(
  world: E2eWorld,
  token: string,
  where: { readonly gatewayUrl?: string } = {},
): Promise<[exec: OpenStream, watch: OpenStream]> {
  return await eventually('both streams to open', 60_000, async () => {
    const watch = await openWatch(world, token, where)
    return [await openExec(world, token, where), watch]
  })
}
