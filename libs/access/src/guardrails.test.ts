import { expect, test } from 'vitest'
import { resourceAttributes } from './attributes.ts'
import { decide } from './decide.ts'
import { parseRequestInfo } from './request-info.ts'
import { ruleOf, snapshotOf } from './testing.ts'

const now = new Date('2026-03-01T12:00:00.000Z')
const root = { userId: 'root', clusterId: 'prod' }

/** Whoever wrote this policy tried to give everything, also by name. */
const all = snapshotOf({
  users: [{ id: 'root' }],
  roles: [
    {
      id: 'root',
      rules: [
        ruleOf({
          verbs: ['*', 'impersonate', 'proxy', ''],
          apiGroups: ['*', ''],
          resources: ['*', 'secrets', 'pods/exec', '*/exec', 'serviceaccounts/token', ''],
        }),
        ruleOf({ verbs: ['*'], nonResourceUrls: ['*'] }),
      ],
    },
  ],
  grants: [
    {
      id: 'all',
      subjects: [{ kind: 'user', id: 'root' }],
      roleId: 'root',
      clusters: { clusterIds: ['prod'] },
      namespaces: { all: true, names: ['postern-jit', 'postern-system'] },
    },
  ],
  clusters: [{ id: 'prod' }],
})

const decided = (request: string) => {
  const [method = '', target = ''] = request.split(' ')
  return decide(all, root, parseRequestInfo(method, target), now)
}

test('who has everything has everything else', () => {
  for (const request of [
    'GET /api/v1/namespaces/a/secrets/s',
    'POST /api/v1/namespaces/a/serviceaccounts/x/token',
    'GET /api/v1/namespaces/a/pods/p/exec',
    'DELETE /api/v1/namespaces/a',
    'GET /api/v1/pods',
    'GET /metrics',
    'DELETE /apis/rbac.authorization.k8s.io/v1/clusterroles/mine',
  ]) {
    expect(decided(request)).toMatchObject({ outcome: 'allow' })
  }
})

const inPosternNamespaces = ['postern-system', 'postern-jit'].flatMap((namespace) => {
  const path = `/api/v1/namespaces/${namespace}`
  return [
    `GET ${path}/secrets`,
    `GET ${path}/secrets?watch=1`,
    `GET ${path}/secrets/s`,
    `GET ${path}/secrets?fieldSelector=metadata.namespace%21%3D${namespace}`,
    `HEAD ${path}/secrets/s`,
    `POST ${path}/secrets`,
    `DELETE ${path}/secrets/s`,
    `POST ${path}/serviceaccounts/x/token`,
    `POST ${path}/serviceaccounts`,
    `PATCH ${path}/serviceaccounts/x`,
    `POST ${path}/pods`,
    `POST ${path}/pods/p/exec`,
    `GET ${path}/pods/p/exec`,
    `GET ${path}/pods/p/attach`,
    `GET ${path}/pods/p/portforward`,
    `GET ${path}/pods/p/proxy/metrics`,
    `GET ${path}/services/s/proxy`,
    `PATCH ${path}/pods/p/ephemeralcontainers`,
    `POST ${path}/pods/p/eviction`,
    `DELETE ${path}`,
    `PATCH ${path}`,
    `PUT ${path}/finalize`,
    `PUT ${path}/status`,
    `GET /api/v1/watch/namespaces/${namespace}/secrets`,
    `POST /apis/apps/v1/namespaces/${namespace}/deployments`,
    `PATCH /apis/apps/v1/namespaces/${namespace}/deployments/agent/scale`,
    `DELETE /apis/apps/v1/namespaces/${namespace}/deployments`,
    `POST /apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`,
    `POST /apis/x.example/v1/namespaces/${namespace}/widgets/w/exec`,
  ]
})

test.each([
  ...inPosternNamespaces,
  'GET /api/v1/secrets',
  'GET /api/v1/secrets?watch=true',
  'GET /api/v1/watch/secrets',
  'GET /api/v1/secrets?fieldSelector=metadata.name%3Ds',
  'GET /api/v1/secrets?fieldSelector=metadata.namespace%3Dpostern-jit',
  'GET /api/v1/secrets?fieldSelector=metadata.namespace%21%3Dpostern-jit',
  'GET /api/v1/secrets?fieldSelector=type%21%3Dpostern-jit,type%21%3Dpostern-system',
  'GET /api/v1/secrets?fieldSelector=metadata.namespace%3D',
  'GET /api/v1/secrets?fieldSelector=a%3Db%3Dc,metadata.namespace%3Da',
  'GET /api/v1/secrets?fieldSelector=metadata.namespace%3Dpostern-jit&fieldSelector=metadata.namespace%3Da',
  'DELETE /apis/rbac.authorization.k8s.io/v1/clusterroles/postern-edit',
  'PATCH /apis/rbac.authorization.k8s.io/v1/clusterrolebindings/postern-agent',
  'DELETE /apis/rbac.authorization.k8s.io/v1/clusterroles',
  'DELETE /apis/rbac.authorization.k8s.io/v1/namespaces/a/rolebindings/ptr-x-postern-edit',
  'PATCH /apis/rbac.authorization.k8s.io/v1/namespaces/a/rolebindings/ptr-x-postern-edit',
  'PUT /apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/postern-jit',
  'GET /api/v1/proxy/namespaces/a/pods/p/x',
  'GET /api/v1/proxy/nodes/n',
  'POST /api/v1/watch/namespaces/a/pods',
  'DELETE /api/v1/watch/namespaces/a/pods',
  'HEAD /api/v1/watch/namespaces/a/pods',
  'OPTIONS /api/v1/namespaces/a/services/s/proxy/x',
  'GET /api/v1/nodes/n/proxy/exec/a/b/c',
])('no grant allows %s', (request) => {
  expect(decided(request).outcome).toBe('deny')
})

test.each([
  'GET /api/v1/namespaces/postern-system/pods',
  'GET /api/v1/namespaces/postern-system/pods/p/log',
  'GET /apis/apps/v1/namespaces/postern-system/deployments/agent',
  'GET /api/v1/namespaces/postern-jit',
  'GET /api/v1/watch/namespaces/a/pods',
  'GET /apis/rbac.authorization.k8s.io/v1/namespaces/a/rolebindings/ptr-x-postern-edit',
  'DELETE /apis/rbac.authorization.k8s.io/v1/namespaces/a/rolebindings/developers',
  'GET /api/v1/secrets?fieldSelector=metadata.namespace%21%3Dpostern-jit,metadata.namespace%21%3Dpostern-system',
  'GET /api/v1/secrets?watch=1&fieldSelector=metadata.namespace%3Da',
])('looking after the agent stays possible: %s', (request) => {
  expect(decided(request)).toMatchObject({ outcome: 'allow' })
})

test.each([
  { resource: 'serviceaccounts', namespace: 'postern-jit', name: 'ptr-x' },
  { resource: 'serviceaccounts', namespace: 'postern-system', name: '' },
  { resource: 'users', name: 'system:serviceaccount:postern-jit:ptr-x' },
  { resource: 'users', name: 'system:serviceaccount:postern-system:agent' },
  { resource: 'groups', name: 'system:serviceaccounts:postern-jit' },
])('nobody impersonates an account of Postern: %o', (target) => {
  const asked = resourceAttributes({ verb: 'impersonate', ...target })
  expect(decide(all, root, asked, now).outcome).toBe('deny')
  const other = { ...asked, namespace: asked.namespace && 'a', name: 'bob' }
  expect(decide(all, root, other, now).outcome).toBe('allow')
})

test('the refusal says that no grant helps, and what does', () => {
  expect(decided('GET /api/v1/secrets').reason).toBe(
    'secrets is forbidden: User "root" cannot list resource "secrets" in API group "" at the cluster scope: ' +
      "secrets of all namespaces would include Postern's own; ask for one namespace, or with --field-selector " +
      'metadata.namespace!=postern-system,metadata.namespace!=postern-jit; no grant can change this',
  )
})
