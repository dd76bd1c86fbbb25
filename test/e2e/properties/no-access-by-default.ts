import { eventually } from '@postern/bootstrap'
import { describe, expect, test } from 'vitest'
import { changesNothing } from '../support/changes-nothing.ts'
import type { E2eWorld } from '../support/e2e-world.ts'
import { messageOf } from '../support/http.ts'

const READS = ['/api', '/api/v1/pods', '/api/v1/namespaces/team/pods', '/api/v1/secrets'].concat([
  '/apis/apps/v1/deployments',
  '/version',
  '/healthz',
  '/metrics',
  '/logs/',
  '/openapi/v3',
])

const KNOWN_MS_MAX = 60_000

export function noAccessByDefault(world: () => E2eWorld): void {
  describe('property 1: no access by default, and doubt is denial', () => {
    test('a user without a grant reaches nothing on a cluster, not even its version', async () => {
      await world().createUser('newcomer')
      const { secret } = await world().token('newcomer')
      await changesNothing(world(), async () => {
        for (const path of READS) {
          const answer = await world().ask(secret, { path })
          expect({ path, status: answer.status }).toEqual({ path, status: 403 })
          expect(messageOf(answer)).toMatch(/no grant/)
        }
        for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
          const path = '/api/v1/namespaces/team/configmaps'
          const answer = await world().ask(secret, { path, method, body: '{}' })
          expect({ method, status: answer.status }).toEqual({ method, status: 403 })
        }
      })
    })

    test('an administrator of Postern is nobody on a cluster', async () => {
      const token = world().admin.api.token ?? ''
      await changesNothing(world(), async () => {
        const answer = await world().ask(token, { path: '/api/v1/namespaces/team/pods' })
        expect(answer.status).toBe(403)
      })
    })

    test.each([
      { name: 'another verb', method: 'DELETE', path: '/api/v1/namespaces/team/events/x' },
      { name: 'another resource', method: 'GET', path: '/api/v1/namespaces/team/secrets' },
      {
        name: 'a subresource',
        method: 'POST',
        path: '/api/v1/namespaces/team/pods/box/ephemeralcontainers',
      },
      { name: 'the proxy', method: 'GET', path: '/api/v1/namespaces/team/pods/box/proxy/' },
      { name: 'another group', method: 'GET', path: '/apis/batch/v1/jobs' },
      { name: 'a group like it', method: 'GET', path: '/apis/apps.evil/v1/deployments' },
      {
        name: 'more rights',
        method: 'POST',
        path: '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
      },
      { name: 'a node', method: 'GET', path: '/api/v1/nodes' },
      {
        name: 'a token of an account',
        method: 'POST',
        path: '/api/v1/namespaces/postern-jit/serviceaccounts/x/token',
      },
      {
        name: "the agent's own objects",
        method: 'GET',
        path: '/api/v1/namespaces/postern-system/secrets/postern-agent-identity',
      },
    ])('a grant gives nothing beside it: $name is refused', async ({ method, path }) => {
      const { secret } = await world().token('lead')
      const answer = await changesNothing(world(), () => world().ask(secret, { method, path }))
      expect(answer.status).toBe(403)
      expect(messageOf(answer)).toMatch(/forbidden|grant|Postern/)
    })

    test('a role that the cluster was not prepared for is refused when it is used, and gives nothing less exact', async () => {
      const { api } = world().admin
      const rules = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]
      await api.call('POST', '/v1/roles', { name: 'everything', rules })
      await world().createUser('grasping')
      const terms = {
        subjects: ['user:grasping'],
        role: 'everything',
        clusters: ['alpha'],
        namespaces: { all: true },
      }
      await api.call('POST', '/v1/grants', { name: 'too-much', terms })
      const { secret } = await world().token('grasping')
      await eventually('the gateway to know the grant', KNOWN_MS_MAX, async () => {
        const answer = await world().ask(secret, { path: '/api/v1/nodes' })
        expect(messageOf(answer)).toMatch(/install level|tier|does not cover|covers/i)
      })
      await api.call('DELETE', '/v1/grants/too-much')
    })
  })
}
