import { deepStrictEqual, ok } from 'node:assert/strict'
import { eventually } from '@postern/bootstrap'
import { CLUSTER, type E2eWorld, messageOf } from '@postern/e2e/support'
import type { Check } from '../check.ts'
import { expectMatch } from '../expect.ts'
import { grantedUser } from '../granted-user.ts'
import { WHOLE } from '../worlds.ts'

const READ_WRITE = [
  { verbs: ['get', 'list', 'watch', 'create', 'delete'], apiGroups: [''], resources: ['pods'] },
  { verbs: ['get', 'create'], apiGroups: [''], resources: ['pods/exec'] },
  { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods/log', 'secrets'] },
]
const SAR = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
const SRR = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews'
const WHO = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
const MEDIA = { json: 'application/json', protobuf: 'application/vnd.kubernetes.protobuf' }

type Asked = Readonly<Record<string, string>>

/** Someone who may work with the pods of one namespace. */
async function asker(world: E2eWorld) {
  const name = 'asker'
  const granted = { name, cluster: CLUSTER, rules: READ_WRITE, namespaces: ['team'] }
  const token = await grantedUser(world, granted)
  return { token, kubectl: await world.kubectlOf(name, CLUSTER) }
}

async function ask(world: E2eWorld, path: string, body: string | Buffer, contentType: string) {
  const { token } = await asker(world)
  const headers = { 'content-type': contentType }
  const answer = await world.ask(token, { method: 'POST', path, headers, body })
  ok(answer.status === 201, `${answer.status} ${answer.text}`)
  return JSON.parse(answer.text)
}

function inJson(kind: string, spec: object): string {
  return JSON.stringify({ kind, apiVersion: 'authorization.k8s.io/v1', spec })
}

/** A SelfSubjectAccessReview as client-go encodes it (authorization/v1 generated.proto). */
function inProtobuf(asked: Asked): Buffer {
  const numbers = ['namespace', 'verb', 'group', 'version', 'resource', 'subresource', 'name']
  const attributes = Object.entries(asked).map(([name, value]) =>
    field(numbers.indexOf(name) + 1, Buffer.from(value)),
  )
  const review = field(2, field(1, Buffer.concat(attributes)))
  const type = Buffer.concat([
    field(1, Buffer.from('authorization.k8s.io/v1')),
    field(2, Buffer.from('SelfSubjectAccessReview')),
  ])
  return Buffer.concat([Buffer.from('k8s\0'), field(1, type), field(2, review)])
}

function field(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes])
}

const POLICY_DENIES = { verb: 'create', resource: 'configmaps', namespace: 'team' }
const CLUSTER_DENIES = { verb: 'get', resource: 'nodes', subresource: 'proxy', name: 'x' }
const BOTH_ALLOW = { verb: 'create', resource: 'pods', namespace: 'team' }

export const selfReviewChecks: readonly Check[] = [
  ...(['json', 'protobuf', 'yaml'] as const).map(
    (encoding): Check => ({
      id: encoding === 'json' ? 'SR-01' : 'SR-06',
      title: `can-i in ${encoding}: no where the policy says no, with its reason, though the account may; yes where both say yes`,
      async run(worlds) {
        const world = await worlds.cluster()
        const mayI = async (asked: Asked) => {
          const spec = { resourceAttributes: asked }
          const body = encoding === 'protobuf' ? inProtobuf(asked) : inJson(REVIEW, spec)
          // JSON is YAML.
          const type = encoding === 'yaml' ? 'application/yaml' : MEDIA[encoding]
          return (await ask(world, SAR, body, type)).status
        }
        const denied = await mayI(POLICY_DENIES)
        deepStrictEqual(denied.allowed, false)
        expectMatch(denied.reason, /User "asker" cannot create resource "configmaps"/)
        expectMatch(denied.reason, /role "asker" of grant "asker" does not allow create/)
        const { allowed, reason } = await mayI(BOTH_ALLOW)
        deepStrictEqual({ allowed, reason: reason.slice(0, 24) }, BOTH_SAID)
      },
    }),
  ),
  {
    id: 'SR-01',
    title: 'kubectl auth can-i: yes, no with the reason, and its exit code',
    async run(worlds) {
      const { kubectl } = await asker(await worlds.cluster())
      const yes = await kubectl.run(['auth', 'can-i', 'create', 'pods', '-n', 'team'])
      deepStrictEqual({ code: yes.code, stdout: yes.stdout }, { code: 0, stdout: 'yes\n' })
      for (const [verb, resource, ...more] of [
        ['create', 'configmaps', '-n', 'team'],
        ['create', 'pods', '-n', 'default'],
        ['get', 'pods', '--subresource=log', '-n', 'default'],
        ['list', 'pods', '-A'],
        ['get', '/metrics'],
        ['impersonate', 'users'],
        ['create', 'serviceaccounts', '--subresource=token', '-n', 'postern-jit'],
      ]) {
        const no = await kubectl.run(['auth', 'can-i', verb ?? '', resource ?? '', ...more])
        deepStrictEqual({ verb, resource, code: no.code }, { verb, resource, code: 1 })
        ok(/^no - .*(?:grant|Postern)/s.test(no.stdout), `${verb} ${resource}: ${show(no)}`)
      }
    },
  },
  {
    id: 'SR-02',
    title: 'can-i says no where the policy allows it and the RBAC of the cluster does not',
    async run(worlds) {
      const world = await worlds.cluster()
      const { token } = await asker(world)
      const { api } = world.admin
      const name = 'beyond-the-account'
      const rules = [{ verbs: ['*'], apiGroups: [''], resources: ['nodes/proxy'] }]
      await api.call('POST', '/v1/roles', { name, rules })
      const where = { clusters: [CLUSTER], namespaces: { all: true } }
      const terms = { subjects: ['user:asker'], role: name, ...where }
      await api.call('POST', '/v1/grants', { name, terms })
      const headers = { 'content-type': MEDIA.json }
      const body = inJson(REVIEW, { resourceAttributes: CLUSTER_DENIES })
      await eventually('the policy to allow it', HEARD_MS_MAX, async () => {
        const answer = await world.ask(token, { method: 'POST', path: SAR, headers, body })
        const { status } = JSON.parse(answer.text)
        deepStrictEqual(status.allowed, false)
        expectMatch(status.reason, /the cluster does not allow it/)
      })
      await api.call('DELETE', `/v1/grants/${name}`)
    },
  },
  {
    id: 'SR-03',
    title:
      'a narrow no does not answer a broad question: whoever may list secrets but not those of Postern may list secrets',
    async run(worlds) {
      const world = await worlds.cluster()
      const rules = [{ verbs: ['list', 'watch'], apiGroups: [''], resources: ['secrets'] }]
      const name = 'lister'
      const token = await grantedUser(world, { name, cluster: CLUSTER, rules, namespaces: 'all' })
      const kubectl = await world.kubectlOf(name, CLUSTER)
      deepStrictEqual(await kubectl.ok(['auth', 'can-i', 'list', 'secrets', '-A']), 'yes\n')
      const jit = await kubectl.run(['auth', 'can-i', 'list', 'secrets', '-n', 'postern-jit'])
      deepStrictEqual(jit.code, 1)
      const seen = await kubectl.ok(['get', 'secrets', '-A', '-o', 'name', '--no-headers'])
      ok(!/postern-|ptr-/.test(seen), seen)
      const selector = { rawSelector: 'metadata.namespace=postern-jit' }
      const asked = { verb: 'list', resource: 'secrets', fieldSelector: selector }
      const body = inJson(REVIEW, { resourceAttributes: asked })
      const headers = { 'content-type': MEDIA.json }
      const answer = await world.ask(token, { method: 'POST', path: SAR, headers, body })
      deepStrictEqual(JSON.parse(answer.text).status.allowed, false)
    },
  },
  {
    id: 'SR-04',
    title: 'can-i --list is what policy and cluster allow together, and says where it is not all',
    async run(worlds) {
      const world = await worlds.cluster()
      const { kubectl } = await asker(world)
      const list = await kubectl.ok(['auth', 'can-i', '--list', '-n', 'team', '--no-headers'])
      expectMatch(list, /^pods +\[\] +\[\] +\[.*create.*\]/m)
      ok(!/configmaps|\*\.\*|serviceaccounts/.test(list), list)
      const elsewhere = await kubectl.ok(['auth', 'can-i', '--list', '-n', 'default'])
      ok(!/^pods/m.test(elsewhere), elsewhere)
      const rules = await ask(world, SRR, inJson(RULES, { namespace: 'team' }), MEDIA.json)
      deepStrictEqual(rules.status.incomplete, false)
      const star = [{ verbs: ['get'], apiGroups: ['*'], resources: ['*'] }]
      const wide = { name: 'star', cluster: WHOLE, rules: star, namespaces: 'all' } as const
      await grantedUser(await worlds.wholeCluster(), wide)
      const ofStar = await world.kubectlOf('star', WHOLE)
      const { stderr } = await ofStar.run(['auth', 'can-i', '--list', '-n', 'team'])
      expectMatch(stderr, /may be incomplete: .*nodes\/proxy only where a rule names it/)
    },
  },
  {
    id: 'SR-05',
    title: 'auth whoami shows the human, the groups and the session, never the account',
    async run(worlds) {
      const world = await worlds.cluster()
      const kubectl = await world.kubectlOf('lead', CLUSTER)
      const text = await kubectl.ok(['auth', 'whoami', '-o', 'json'])
      const { userInfo } = JSON.parse(text).status
      deepStrictEqual([userInfo.username, userInfo.groups], ['lead', ['developers']])
      expectMatch(userInfo.extra['postern.dev/session'][0], /^[0-9a-f-]{36}$/)
      ok(!/serviceaccount|postern-jit|ptr-/.test(text), text)
      const { token } = await asker(world)
      for (const type of [MEDIA.json, MEDIA.protobuf, 'application/yaml', 'application/cbor']) {
        const order = { method: 'POST', path: WHO, headers: { 'content-type': type } }
        const answer = await world.ask(token, order)
        deepStrictEqual(JSON.parse(answer.text).status.userInfo.username, 'asker')
      }
      const path = WHO.replace('/v1/', '/v9/')
      deepStrictEqual((await world.ask(token, { method: 'POST', path })).status, 404)
    },
  },
  {
    id: 'SR-06',
    title: 'what the cluster refuses to read is refused in its words, and nothing is guessed',
    async run(worlds) {
      const world = await worlds.cluster()
      const { token } = await asker(world)
      const send = async (path: string, type: string, body: string | Buffer) => {
        const headers = { 'content-type': type, accept: MEDIA.protobuf }
        return await world.ask(token, { method: 'POST', path, headers, body })
      }
      for (const path of [SAR, SRR]) {
        const torn = await send(path, MEDIA.json, '{"spec":')
        deepStrictEqual([torn.status, JSON.parse(torn.text).kind], [400, 'Status'])
        const unknown = await send(path, 'application/x-unknown', '{}')
        deepStrictEqual(unknown.status, 415, messageOf(unknown))
        // A feature of kube-apiserver that is off: clients fall back to JSON on that answer.
        const cbor = await send(path, 'application/cbor', Buffer.from([0xd9, 0xd9, 0xf7, 0xa0]))
        deepStrictEqual(cbor.status, 415, messageOf(cbor))
      }
      const yaml = await send(SRR, 'application/yaml', 'spec: {namespace: team}')
      deepStrictEqual(yaml.status, 415, messageOf(yaml))
    },
  },
]

function show(outcome: object): string {
  return JSON.stringify(outcome)
}

const HEARD_MS_MAX = 30_000
const REVIEW = 'SelfSubjectAccessReview'
const RULES = 'SelfSubjectRulesReview'
const BOTH_SAID = { allowed: true, reason: 'allowed by grant "asker"' }
