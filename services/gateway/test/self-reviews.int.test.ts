import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createClient } from './testing/client.ts'
import { type Gateway, startGateway } from './testing/gateway-harness.ts'

let gateway: Gateway
let client: ReturnType<typeof createClient>

beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(async () => {
  await gateway.close()
})
beforeEach(async () => {
  await gateway.reset()
  client = createClient(gateway)
})
afterEach(() => client.close())

test('SR-05: whoami shows the human and the session, never the account', async () => {
  const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
  const answer = await client.ask({ method: 'POST', path, body: '{}' })
  expect(answer.status).toBe(201)
  expect(JSON.parse(answer.text).status.userInfo).toMatchObject({
    username: 'alice',
    groups: ['developers'],
    extra: { 'postern.dev/session': ['session-of-u-alice'] },
  })
  expect(answer.text).not.toContain('ptr-account')
})

const SSAR = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
test.each([
  { id: 'SR-01', policy: false, cluster: true, allowed: false },
  { id: 'SR-02', policy: true, cluster: false, allowed: false },
  { id: 'both', policy: true, cluster: true, allowed: true },
])(
  '$id: can-i is the answer of policy and cluster together',
  async ({ policy, cluster, allowed }) => {
    gateway.agent.handlers.request = (received) => {
      void received.content.then((content) => {
        const { spec } = JSON.parse(content.toString())
        expect(spec.resourceAttributes.resource).toBe('deployments')
        received
          .respond(201, [['Content-Type', 'application/json']])
          .end(JSON.stringify({ spec, status: { allowed: cluster } }))
      })
    }
    const resourceAttributes = {
      namespace: policy ? 'team' : 'other',
      verb: 'delete',
      group: 'apps',
      resource: 'deployments',
    }
    const headers = { 'content-type': 'application/json' }
    const answer = await client.ask({
      method: 'POST',
      path: SSAR,
      headers,
      body: JSON.stringify({ spec: { resourceAttributes } }),
    })
    expect(JSON.parse(answer.text).status.allowed).toBe(allowed)
    expect(gateway.agent.heads).toHaveLength(policy ? 1 : 0)
  },
)

test('SR-06: can-i asked in protobuf is answered in JSON', async () => {
  const field = (number: number, bytes: Buffer) =>
    Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes])
  const attributes = Buffer.concat([
    field(1, Buffer.from('other')),
    field(2, Buffer.from('list')),
    field(5, Buffer.from('secrets')),
  ])
  const review = field(2, field(1, attributes))
  const body = Buffer.concat([Buffer.from('k8s\0'), field(1, Buffer.alloc(0)), field(2, review)])
  const headers = {
    'content-type': 'application/vnd.kubernetes.protobuf',
    accept: 'application/vnd.kubernetes.protobuf',
  }
  const answer = await client.ask({ method: 'POST', path: SSAR, headers, body })
  expect(answer.headers['content-type']).toBe('application/json')
  const { spec, status } = JSON.parse(answer.text)
  const empty = { group: '', version: '', subresource: '', name: '' }
  expect(spec.resourceAttributes).toEqual({
    ...empty,
    namespace: 'other',
    verb: 'list',
    resource: 'secrets',
  })
  expect(status.allowed).toBe(false)
  expect(gateway.agent.heads).toEqual([])
})

const CBOR = 'application/cbor'
test.each([
  { name: 'policy and cluster allow it', namespace: 'team', cluster: true, allowed: true },
  { name: 'the policy denies it', namespace: 'other', cluster: true, allowed: false },
  { name: 'the cluster denies it', namespace: 'team', cluster: false, allowed: false },
])('SR-06: asked in an encoding that the cluster alone reads: $name', async (one) => {
  const asked = Buffer.from([0xd9, 0xd9, 0xf7, 0xa0])
  const received = new Promise<Buffer>((resolve) => {
    gateway.agent.handlers.request = (request) => {
      const { namespace, cluster } = one
      const spec = { resourceAttributes: { namespace, verb: 'delete', resource: 'secrets' } }
      request.content.then((content) => {
        resolve(content)
        const status = { allowed: cluster, reason: 'RBAC' }
        request.respond(201, []).end(JSON.stringify({ spec, status }))
      }, resolve)
    }
  })
  const headers = { 'content-type': CBOR }
  const answer = await client.ask({ method: 'POST', path: SSAR, headers, body: asked })
  expect(JSON.parse(answer.text)).toMatchObject({
    spec: { resourceAttributes: { namespace: one.namespace, verb: 'delete' } },
    status: { allowed: one.allowed },
  })
  expect(await received).toEqual(asked)
  expect(gateway.agent.heads[0]?.headers).toContainEqual(['Content-Type', CBOR])
})

test('SR-02: what the cluster has read of a question is what is decided, selectors and all', async () => {
  const spec = {
    resourceAttributes: {
      verb: 'list',
      resource: 'secrets',
      namespace: 'team',
      fieldSelector: { rawSelector: 'metadata.namespace=postern-jit' },
    },
  }
  gateway.agent.handlers.request = (received) => {
    const read = { resourceAttributes: { ...spec.resourceAttributes, namespace: '' } }
    received.respond(201, []).end(JSON.stringify({ spec: read, status: { allowed: true } }))
  }
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ spec })
  const answer = await client.ask({ method: 'POST', path: SSAR, headers, body })
  const { spec: said, status } = JSON.parse(answer.text)
  expect(said.resourceAttributes).toEqual({ ...spec.resourceAttributes, namespace: '' })
  expect(status.allowed).toBe(false)
  expect(status.reason).toMatch(/at the cluster scope/)
})

test('SR-06: a rules review in an encoding that Postern does not read is answered 415, not with other rules', async () => {
  gateway.agent.handlers.request = (received) => {
    received.respond(201, []).end(JSON.stringify({ spec: {}, status: { resourceRules: [] } }))
  }
  const path = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews'
  const headers = { 'content-type': 'application/yaml' }
  const answer = await client.ask({
    method: 'POST',
    path,
    headers,
    body: 'spec: {namespace: team}',
  })
  expect(answer.status).toBe(415)
  expect(JSON.parse(answer.text)).toMatchObject({ kind: 'Status', reason: 'UnsupportedMediaType' })
})

test('SR-05: whoami in a version that does not exist is not found', async () => {
  const path = '/apis/authentication.k8s.io/v9/selfsubjectreviews'
  const answer = await client.ask({ method: 'POST', path, body: '{}' })
  expect(answer.status).toBe(404)
  expect(gateway.agent.heads).toEqual([])
})

test('a review that is wrong is refused in the words of the cluster', async () => {
  const said = { kind: 'Status', code: 400, reason: 'BadRequest', message: 'a torn review' }
  gateway.agent.handlers.request = (received) => {
    received.respond(400, []).end(JSON.stringify(said))
  }
  const headers = { 'content-type': 'application/json' }
  const answer = await client.ask({ method: 'POST', path: SSAR, headers, body: '{"spec":' })
  expect(answer.status).toBe(400)
  expect(JSON.parse(answer.text)).toEqual(said)
})

test('SR-04: can-i --list is what policy and cluster both allow', async () => {
  gateway.agent.handlers.request = (received) => {
    const resourceRules = [
      { verbs: ['get', 'delete'], apiGroups: [''], resources: ['pods', 'secrets'] },
    ]
    received
      .respond(201, [])
      .end(JSON.stringify({ status: { resourceRules, nonResourceRules: [], incomplete: false } }))
  }
  const path = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews'
  const headers = { 'content-type': 'application/json' }
  const list = async (namespace: string) => {
    const answer = await client.ask({
      method: 'POST',
      path,
      headers,
      body: JSON.stringify({ spec: { namespace } }),
    })
    return JSON.parse(answer.text).status.resourceRules
  }
  expect(await list('other')).toEqual([
    { verbs: ['get'], apiGroups: [''], resources: ['pods'], resourceNames: [] },
  ])
  expect(await list('team')).toContainEqual({
    verbs: ['get', 'delete'],
    apiGroups: [''],
    resources: ['pods', 'secrets'],
    resourceNames: [],
  })
})
