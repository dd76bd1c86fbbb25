import { deepStrictEqual, ok } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { TIER_RULES } from '@postern/access'
import { eventually, isByAccount, type Kubectl, readClusterAuditLog } from '@postern/bootstrap'
import { CLUSTER, type E2eWorld, type HttpOrder, messageOf, send } from '@postern/e2e/support'
import { createCsr } from '@postern/pki'
import type { Check } from '../check.ts'
import { expectMatch } from '../expect.ts'
import { grantedUser } from '../granted-user.ts'
import { EVERYTHING } from '../recording/recording-world.ts'
import { WHOLE } from '../worlds.ts'

const JIT = '/api/v1/namespaces/postern-jit'
const SYSTEM = '/api/v1/namespaces/postern-system'
const RBAC = '/apis/rbac.authorization.k8s.io/v1'
const ADMISSION = '/apis/admissionregistration.k8s.io/v1'
const CSR = '/apis/certificates.k8s.io/v1/certificatesigningrequests'
const SETTLED_MS_MAX = 30_000

type Attempt = readonly [method: string, path: string, body?: object]

const pod = (namespace: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'thief', namespace },
  spec: { serviceAccountName: 'postern-agent', containers: [{ name: 'c', image: 'c' }] },
})
const role = (name: string, verbs: readonly string[], resources: readonly string[]) => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name },
  rules: [{ verbs, apiGroups: [''], resources }],
})
const binding = (name: string, roleName: string) => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRoleBinding',
  metadata: { name },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: roleName },
  subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'thief' }],
})

/** Ways into what is Postern's own. No grant opens any of them. */
function ownTerritory(account: string): readonly Attempt[] {
  const token = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} }
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'kubernetes.io/service-account-token',
    metadata: { name: 'thief', annotations: { 'kubernetes.io/service-account.name': account } },
  }
  return [
    ['POST', `${JIT}/serviceaccounts/${account}/token`, token],
    ['POST', `${JIT}/serviceaccounts/${account}/token?dryRun=All`, token],
    ['POST', `${JIT}/serviceaccounts/%70tr-x/token`, token],
    ['POST', `${SYSTEM}/serviceaccounts/postern-agent/token`, token],
    ['POST', `${JIT}/secrets`, secret],
    ['GET', `${JIT}/secrets`],
    ['GET', `${JIT}/secrets/${account}`],
    ['GET', `${JIT}/secrets?watch=true`],
    ['GET', `/api/v1/watch/namespaces/postern-jit/secrets`],
    ['GET', `${SYSTEM}/secrets/postern-agent-identity`],
    ['DELETE', `${JIT}/secrets/${account}`],
    ['POST', `${JIT}/pods`, pod('postern-jit')],
    ['POST', `${SYSTEM}/pods`, pod('postern-system')],
    ['POST', `${JIT}/serviceaccounts`, { metadata: { name: 'thief' } }],
    ['DELETE', `${JIT}/serviceaccounts`],
    ['POST', `/apis/rbac.authorization.k8s.io/v1/namespaces/postern-jit/rolebindings`, {}],
    ['PATCH', `/apis/apps/v1/namespaces/postern-system/deployments/postern-agent`, {}],
    ['PATCH', `/apis/apps/v1/namespaces/postern-system/deployments/postern-agent/scale`, {}],
    ['DELETE', `${SYSTEM}/pods`],
    ['POST', `${SYSTEM}/pods/postern-agent-x/exec?command=cat`],
    ['GET', `${SYSTEM}/pods/postern-agent-x/exec?command=cat`],
    ['GET', `${SYSTEM}/pods/postern-agent-x/attach`],
    ['GET', `${SYSTEM}/pods/postern-agent-x/portforward`],
    ['GET', `${SYSTEM}/pods/postern-agent-x/proxy/metrics`],
    ['PATCH', `${SYSTEM}/pods/postern-agent-x/ephemeralcontainers`, {}],
    ['POST', `${SYSTEM}/pods/postern-agent-x/eviction`, {}],
    ['DELETE', '/api/v1/namespaces/postern-jit'],
    ['PATCH', '/api/v1/namespaces/postern-system', {}],
    ['PUT', '/api/v1/namespaces/postern-jit/finalize', {}],
    ['PUT', `${RBAC}/clusterroles/postern-edit`, role('postern-edit', ['*'], ['*'])],
    ['PATCH', `${RBAC}/clusterroles/postern-agent`, {}],
    ['DELETE', `${RBAC}/clusterroles/postern-view`],
    ['DELETE', `${RBAC}/clusterrolebindings`],
    ['PATCH', `${RBAC}/clusterrolebindings/${account}-postern-edit`, {}],
    ['DELETE', `${RBAC}/namespaces/team/rolebindings/${account}-postern-edit`],
    ['DELETE', `${ADMISSION}/validatingadmissionpolicies/postern-namespaces`],
    ['PATCH', `${ADMISSION}/validatingadmissionpolicybindings/postern-namespaces`, {}],
    ['DELETE', `${ADMISSION}/validatingadmissionpolicies`],
    ['GET', '/api/v1/nodes/node/proxy/pods'],
    ['GET', '/api/v1/nodes/node/proxy/exec/team/box/c?command=id'],
    ['POST', '/api/v1/nodes/node/proxy/run/team/box/c?cmd=id'],
    ['GET', '/api/v1/nodes/https:node:10250/proxy/'],
    ['GET', '/api/v1/proxy/nodes/node/pods'],
  ]
}

/** What a role of the tier "edit" leaves out beside that. */
const BEYOND_EDIT: readonly Attempt[] = [
  ['POST', '/api/v1/namespaces/team/serviceaccounts/default/token', {}],
  ['POST', '/api/v1/namespaces/kube-system/serviceaccounts/default/token', {}],
  ['PUT', `${CSR}/x/approval`, {}],
  ['POST', CSR, {}],
  ['PUT', `${CSR}/x/status`, {}],
  ['POST', `${RBAC}/clusterrolebindings`, binding('thief', 'cluster-admin')],
  ['POST', `${RBAC}/namespaces/team/rolebindings`, {}],
  ['POST', `${RBAC}/clusterroles`, role('thief', ['*'], ['*'])],
  ['POST', `${ADMISSION}/mutatingwebhookconfigurations`, {}],
  ['PUT', '/apis/apiregistration.k8s.io/v1/apiservices/v1.apps', {}],
  ['PUT', '/api/v1/namespaces/team/finalize', {}],
  ['PATCH', '/api/v1/nodes/node', {}],
  ['POST', '/api/v1/namespaces/team/pods/box/binding', {}],
  ['GET', '/metrics'],
]

/** What the cluster itself refuses whoever holds the widest account: verbs that are not in "*". */
const BEYOND_ADMIN: readonly Attempt[] = [
  ['POST', `${RBAC}/clusterrolebindings`, binding('thief', 'cluster-admin')],
  ['POST', `${RBAC}/clusterroles`, role('thief', ['impersonate'], ['users', 'groups'])],
  ['POST', `${RBAC}/clusterroles`, role('thief', ['escalate'], ['x'])],
  // Names that are in the body alone: the admission policies of the agent's manifest.
  ['POST', `${RBAC}/clusterroles`, role('postern-mine', ['get'], ['pods'])],
  ['POST', `${RBAC}/clusterrolebindings`, binding('ptr-mine', 'view')],
]

async function allRefused(attempts: readonly Attempt[], ask: (order: HttpOrder) => Promise<Said>) {
  for (const [method, path, body] of attempts) {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json'
    const text = body === undefined ? {} : { body: JSON.stringify(body) }
    const answer = await ask({ method, path, headers: { 'content-type': type }, ...text })
    const said = `${method} ${path}: ${answer.status} ${answer.text.slice(0, 500)}`
    // An admission policy's refusal is 422.
    ok(answer.status === 403 || /admission/i.test(answer.text), said)
    const message = messageOf(answer)
    expectMatch(message, /forbidden|not served|not allowed|no grant can change|may not/)
  }
}

type Said = { readonly status: number; readonly text: string }

/** Someone with this role everywhere, and his account there. */
async function mighty(world: E2eWorld, cluster: string, name: string, rules: readonly object[]) {
  const token = await grantedUser(world, { name, cluster, rules, namespaces: 'all' })
  const list = ['get', 'serviceaccounts', '-n', 'postern-jit', '-o', 'json']
  const account = await eventually('the account', SETTLED_MS_MAX, async () => {
    const { items } = JSON.parse(await world.cluster(cluster).kubectl.ok(list))
    const found = items.find(
      (item: { metadata: { annotations?: Record<string, string> } }) =>
        item.metadata.annotations?.['postern.dev/user'] === name,
    )
    if (found === undefined) throw new Error('there is none')
    return String(found.metadata.name)
  })
  const url = `${world.platform.gatewayUrl}/clusters/${cluster}`
  const ask = (order: HttpOrder) => {
    const headers = { authorization: `Bearer ${token}`, ...order.headers }
    return send(url + order.path, world.ca, { ...order, headers })
  }
  return { account, ask, kubectl: await world.kubectlOf(name, cluster) }
}

const editor = (world: E2eWorld) => mighty(world, CLUSTER, 'editor', TIER_RULES['postern-edit'])
const almighty = (world: E2eWorld) => mighty(world, WHOLE, 'almighty', EVERYTHING)

/** What came to that cluster under an account and wrote, or ran a command. */
function written(world: E2eWorld, cluster: string): string[] {
  const reads = new Set(['get', 'list', 'watch'])
  return readClusterAuditLog(world.cluster(cluster))
    .filter((event) => isByAccount(event) && !reads.has(event.verb))
    .map(({ verb, requestURI }) => `${verb} ${requestURI}`)
    .filter((done) => !done.includes('selfsubject'))
}

async function cannotImpersonate(kubectl: Kubectl): Promise<void> {
  for (const as of [
    ['--as=system:admin'],
    ['--as=system:serviceaccount:postern-jit:ptr-x'],
    ['--as=lead', '--as-group=system:masters'],
  ]) {
    const { code, stderr } = await kubectl.run(['get', 'pods', '-n', 'team', ...as])
    deepStrictEqual(code, 1)
    expectMatch(stderr, /Impersonation \(kubectl --as\) is not available/)
  }
}

export const escalationChecks: readonly Check[] = [
  {
    id: 'JT-04',
    title:
      'with edit in the whole cluster nobody mints a token of an account, touches the namespaces of Postern, acts as somebody else, approves certificates or reaches nodes/proxy: nothing of it arrives',
    async run(worlds) {
      const world = await worlds.cluster()
      const { account, ask, kubectl } = await editor(world)
      const before = written(world, CLUSTER).length
      await allRefused([...ownTerritory(account), ...BEYOND_EDIT], ask)
      await cannotImpersonate(kubectl)
      const token = await kubectl.run(['create', 'token', account, '-n', 'postern-jit'])
      deepStrictEqual(token.code, 1)
      expectMatch(token.stderr, /belongs to Postern.*no grant can change this/s)
      deepStrictEqual(written(world, CLUSTER).slice(before), [])
    },
  },
  {
    id: 'JT-04',
    title:
      'with * in the whole cluster of the install level admin the same is refused, and what the cluster refuses whoever is not its own administrator',
    async run(worlds) {
      const world = await worlds.wholeCluster()
      const { account, ask, kubectl } = await almighty(world)
      const before = written(world, WHOLE).length
      await allRefused(ownTerritory(account), ask)
      await cannotImpersonate(kubectl)
      deepStrictEqual(written(world, WHOLE).slice(before), [])
      await allRefused(BEYOND_ADMIN, ask)
      const name = 'thief'
      const made = await ask({ method: 'POST', path: CSR, ...json(await signingRequest(name)) })
      deepStrictEqual(made.status, 201, made.text)
      const approval = await kubectl.run(['certificate', 'approve', name])
      deepStrictEqual(approval.code, 1)
      expectMatch(approval.stderr, /not permitted to approve|forbidden/)
    },
  },
  {
    id: 'JT-04',
    title:
      'what * in the whole cluster does allow: to work, to write roles that hold no more than it has, to mint tokens of other accounts',
    async run(worlds) {
      const world = await worlds.wholeCluster()
      const { kubectl } = await almighty(world)
      await kubectl.ok(['create', 'namespace', 'mine'])
      await kubectl.ok(['create', 'serviceaccount', 'robot', '-n', 'mine'])
      const token = await kubectl.ok(['create', 'token', 'robot', '-n', 'mine'])
      expectMatch(token, /^eyJ/)
      await kubectl.ok(['create', 'clusterrole', 'reader', '--verb=get', '--resource=pods'])
      await kubectl.ok(['get', 'secrets', '-n', 'mine'])
      const all = await kubectl.ok(['get', 'secrets', '-A', '-o', 'name'])
      ok(!/postern-|ptr-/.test(all), all)
    },
  },
  {
    id: 'JT-04',
    title:
      'whoever has the token of an account and goes past the gateway meets the admission policies of the manifest',
    async run(worlds) {
      const world = await worlds.wholeCluster()
      const { account } = await almighty(world)
      const { kubectl, server, ca } = world.cluster(WHOLE)
      const agent = await kubectl.ok('get pods -n postern-system -o name'.split(' '))
      const agentPod = agent.trim().replace('pod/', '')
      const token = await kubectl.ok(['create', 'token', account, '-n', 'postern-jit'])
      const authorities = readFileSync(ca, 'utf8')
      const ask = (order: HttpOrder) => {
        const headers = { authorization: `Bearer ${token.trim()}`, ...order.headers }
        return send(server + order.path, authorities, { ...order, headers })
      }
      deepStrictEqual((await ask({ path: '/api/v1/nodes' })).status, 200)
      await allRefused(
        [
          ['POST', `${JIT}/serviceaccounts/${account}/token`, { spec: {} }],
          ['POST', `${SYSTEM}/serviceaccounts/postern-agent/token`, { spec: {} }],
          ['POST', `${JIT}/pods`, pod('postern-jit')],
          ['POST', `${SYSTEM}/pods/${agentPod}/exec?command=id&stdout=true`],
          ['DELETE', `${SYSTEM}/pods/${agentPod}`],
          ['DELETE', `${JIT}/secrets`],
          ['DELETE', '/api/v1/namespaces/postern-jit'],
          [
            'PATCH',
            '/apis/apps/v1/namespaces/postern-system/deployments/postern-agent/scale',
            { spec: { replicas: 0 } },
          ],
          ['DELETE', `${RBAC}/clusterrolebindings/postern-agent`],
          ['DELETE', `${RBAC}/clusterrolebindings/${account}-postern-admin`],
          ['PATCH', `${RBAC}/clusterroles/postern-view`, { metadata: { labels: { a: 'b' } } }],
          ['POST', `${RBAC}/clusterroles`, role('postern-mine', ['get'], ['pods'])],
          ['POST', `${RBAC}/clusterrolebindings`, binding('ptr-mine', 'postern-view')],
        ],
        ask,
      )
      // It holds no verb that makes more of itself.
      await allRefused(
        [
          ['GET', '/api/v1/namespaces/team/pods'],
          ['GET', '/api/v1/nodes'],
        ],
        (order) => ask({ ...order, headers: { ...order.headers, 'impersonate-user': 'root' } }),
      )
    },
  },
]

function json(body: object) {
  return { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

/** A request for a client certificate of kube-apiserver. */
async function signingRequest(name: string): Promise<object> {
  const { csr } = await createCsr()
  const base64 = csr.toString('base64').replaceAll(/.{64}/g, '$&\n')
  const label = 'CERTIFICATE REQUEST'
  const pem = `-----BEGIN ${label}-----\n${base64}\n-----END ${label}-----\n`
  return {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name },
    spec: {
      request: Buffer.from(pem).toString('base64'),
      signerName: 'kubernetes.io/kube-apiserver-client',
      usages: ['client auth'],
    },
  }
}
