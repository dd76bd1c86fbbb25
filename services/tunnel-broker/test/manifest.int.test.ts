import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCluster, until } from '@postern/fixtures'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { parseAllDocuments, stringify } from 'yaml'
import { type RunningTunnelBroker, runTunnelBroker } from './running-tunnel-broker.ts'

let broker: RunningTunnelBroker
let cluster: Awaited<ReturnType<typeof startCluster>>
let manifest: string
let applied: Answer
const cacheDir = mkdtempSync(join(tmpdir(), 'postern-kubectl-'))

const AGENT = 'system:serviceaccount:postern-system:postern-agent'
const ACCOUNT = 'system:serviceaccount:postern-jit:ptr-test'
const SLOW = 60_000

beforeAll(async () => {
  ;[broker, cluster] = await Promise.all([
    runTunnelBroker({ postgresUrl: inject('postgresUrl') }),
    startCluster(),
  ])
  await (await broker.relay('r1')).registerRelay({
    agentAddress: 'relay.example:443',
    gatewayAddress: '10.0.0.1:8443',
  })
  await broker.clusters.createCluster({ name: 'prod', installLevel: 2 }, broker.root)
  manifest = await newManifest()
  applied = await kubectl(['apply', '--validate=strict', '-f', '-'], manifest)
}, 240_000)

afterAll(async () => {
  await cluster.stop()
  await broker.stop()
  rmSync(cacheDir, { recursive: true, force: true })
})

async function newManifest(): Promise<string> {
  return (await broker.clusters.createJoinManifest({ cluster: 'prod' }, broker.root)).manifest
}

type Answer = { code: number; stdout: string; stderr: string }

async function kubectl(args: readonly string[], input = ''): Promise<Answer> {
  const common = ['--kubeconfig', cluster.kubeconfig, '--cache-dir', cacheDir]
  return await new Promise((resolve) => {
    const child = execFile(
      cluster.kubectl,
      [...common, ...args],
      { timeout: SLOW },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr })
      },
    )
    child.stdin?.end(input)
  })
}

const as = (user: string) => ['--as', user]

async function can(user: string, ...asked: string[]): Promise<boolean> {
  return (await kubectl(['auth', 'can-i', ...asked, ...as(user)])).stdout.trim() === 'yes'
}

/** What the API server would say to an object, without making it. */
async function create(user: string, object: object): Promise<string> {
  const args = ['create', '--dry-run=server', '-f', '-', ...as(user)]
  const { code, stderr } = await kubectl(args, stringify(object))
  return code === 0 ? 'created' : stderr
}

function binding(order: {
  name?: string
  labels?: Record<string, string>
  role?: string
  subject?: { kind: string; name: string; namespace?: string }
}) {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: {
      name: order.name ?? 'ptr-test',
      labels: order.labels ?? { 'postern.dev/session': 's1' },
    },
    roleRef: {
      apiGroup: 'rbac.authorization.k8s.io',
      kind: 'ClusterRole',
      name: order.role ?? 'postern-view',
    },
    subjects: [
      order.subject ?? { kind: 'ServiceAccount', name: 'ptr-test', namespace: 'postern-jit' },
    ],
  }
}

test('the manifest is a stream of whole Kubernetes objects, each once', () => {
  const objects = parseAllDocuments(manifest).map((document) => {
    expect(document.errors).toEqual([])
    return document.toJS()
  })
  const keys = objects.map(({ kind, metadata }) =>
    [kind, metadata.namespace ?? '', metadata.name].join('/'),
  )
  expect(new Set(keys).size).toBe(keys.length)
  expect(keys).toContain('ClusterRole//postern-edit')
  expect(keys).not.toContain('ClusterRole//postern-admin')
  expect(objects.every(({ apiVersion }) => typeof apiVersion === 'string')).toBe(true)
})

test('an API server takes all of it, without a warning', () => {
  expect(applied).toMatchObject({ code: 0, stderr: '' })
})

test('it can be applied again, with another token, and changes nothing else', async () => {
  const again = await newManifest()
  const { code, stdout } = await kubectl(
    ['apply', '--dry-run=server', '--validate=strict', '-f', '-'],
    again,
  )
  expect(code).toBe(0)
  const changed = stdout.split('\n').filter((line) => /created|configured/.test(line))
  expect(changed).toEqual(['secret/postern-agent-join configured (server dry run)'])
})

test(
  'the agent may do what it needs, and nothing beyond',
  async () => {
    const allowed = [
      ['create', 'serviceaccounts', '-n', 'postern-jit'],
      ['create', 'serviceaccounts/token', '-n', 'postern-jit'],
      ['delete', 'secrets', '-n', 'postern-jit'],
      ['create', 'rolebindings', '-n', 'default'],
      ['create', 'clusterrolebindings'],
      ['bind', 'clusterroles/postern-view'],
      ['bind', 'clusterroles/postern-edit'],
      ['list', 'namespaces'],
      ['update', 'secrets/postern-agent-identity', '-n', 'postern-system'],
    ]
    const refused = [
      ['bind', 'clusterroles/postern-admin'],
      ['bind', 'clusterroles/cluster-admin'],
      ['bind', 'clusterroles'],
      ['escalate', 'clusterroles'],
      ['create', 'clusterroles'],
      ['impersonate', 'users'],
      ['impersonate', 'serviceaccounts', '-n', 'postern-jit'],
      ['get', 'secrets', '-n', 'default'],
      ['get', 'secrets', '-n', 'kube-system'],
      ['list', 'secrets', '-n', 'postern-system'],
      ['get', 'secrets/postern-agent-join', '-n', 'postern-system'],
      ['create', 'pods', '-n', 'postern-jit'],
      ['create', 'pods', '-n', 'postern-system'],
      ['get', 'pods', '-n', 'default'],
      ['update', 'clusterrolebindings'],
      ['create', 'serviceaccounts/token', '-n', 'default'],
      ['delete', 'validatingadmissionpolicies'],
      ['delete', 'namespaces'],
    ]
    const wrong: string[] = []
    for (const asked of allowed)
      if (!(await can(AGENT, ...asked))) wrong.push(`no ${asked.join(' ')}`)
    for (const asked of refused)
      if (await can(AGENT, ...asked)) wrong.push(`yes ${asked.join(' ')}`)
    expect(wrong).toEqual([])
  },
  SLOW,
)

test(
  'the agent binds only accounts of sessions, and touches no other binding',
  async () => {
    // An admission policy takes a moment until it is in force.
    await until(async () => (await create(AGENT, binding({ name: 'evil' }))) !== 'created', SLOW)
    expect(await create(AGENT, binding({}))).toBe('created')
    const only = /only bindings that it made for a session/
    const accounts = /binds only accounts of postern-jit/
    expect(await create(AGENT, binding({ name: 'evil' }))).toMatch(only)
    expect(await create(AGENT, binding({ labels: {} }))).toMatch(only)
    for (const subject of [
      { kind: 'User', name: 'mallory' },
      { kind: 'Group', name: 'system:authenticated' },
      { kind: 'ServiceAccount', name: 'default', namespace: 'kube-system' },
      { kind: 'ServiceAccount', name: 'postern-agent', namespace: 'postern-system' },
    ]) {
      expect(await create(AGENT, binding({ subject }))).toMatch(accounts)
    }
    expect(await create(AGENT, binding({ role: 'cluster-admin' }))).toMatch(/forbidden/)

    const others = stringify(binding({ name: 'ptr-not-of-a-session', labels: {} }))
    expect((await kubectl(['create', '-f', '-'], others)).code).toBe(0)
    for (const name of ['ptr-not-of-a-session', 'cluster-admin', 'postern-agent']) {
      const removing = ['delete', 'clusterrolebinding', name, '--dry-run=server']
      const removal = await kubectl(removing.concat(as(AGENT)))
      expect(removal.stderr).toMatch(only)
    }
  },
  SLOW,
)

test(
  'no account of a session changes what Postern keeps, and every other right stays its own',
  async () => {
    const all = binding({ name: 'wide', role: 'cluster-admin', labels: {} })
    expect((await kubectl(['create', '-f', '-'], stringify(all))).code).toBe(0)
    const secret = (namespace: string) => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'test', namespace },
    })
    const refusal = /may not change the namespaces of Postern/
    await until(async () => refusal.test(await create(ACCOUNT, secret('postern-jit'))), SLOW)
    expect(await create(ACCOUNT, secret('postern-system'))).toMatch(refusal)
    expect(await create(ACCOUNT, secret('default'))).toBe('created')
    for (const args of [
      ['create', 'token', 'postern-agent', '-n', 'postern-system'],
      ['delete', 'secret', 'postern-agent-join', '-n', 'postern-system', '--dry-run=server'],
      ['delete', 'namespace', 'postern-jit', '--dry-run=server'],
      ['label', 'namespace', 'postern-system', 'a=b', '--dry-run=server'],
    ]) {
      expect((await kubectl([...args, ...as(ACCOUNT)])).stderr).toMatch(refusal)
    }
    // What is in no namespace is not in one of Postern's.
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team' } }
    expect(await create(ACCOUNT, namespace)).toBe('created')
    const role = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'team' },
      rules: [],
    }
    expect(await create(ACCOUNT, role)).toBe('created')
    const asked = await kubectl(['auth', 'can-i', 'get', 'pods', ...as(ACCOUNT)])
    expect(asked).toMatchObject({ code: 0, stdout: 'yes\n' })

    // Not even the rights of Postern's own parts, which lie in no namespace.
    const wider = { ...role, metadata: { name: 'postern-agent' } }
    const replaced = await kubectl(
      ['replace', '--dry-run=server', '-f', '-', ...as(ACCOUNT)],
      stringify(wider),
    )
    expect(replaced.stderr).toMatch(/may not change what belongs to Postern/)
    const removing = ['delete', 'clusterrolebinding', 'postern-agent', '--dry-run=server']
    const removed = await kubectl(removing.concat(as(ACCOUNT)))
    expect(removed.stderr).toMatch(/may not change what belongs to Postern/)
  },
  SLOW,
)
