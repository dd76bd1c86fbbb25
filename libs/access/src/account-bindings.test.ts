import fc from 'fast-check'
import { expect, test } from 'vitest'
import { accountBindings } from './account-bindings.ts'
import { resourceAttributes } from './attributes.ts'
import { mayExist, verbsOfSubresource } from './built-in-resources.ts'
import { coveringTier } from './covering-tier.ts'
import { compileRules, rulesAllow } from './rules.ts'
import type { Grant, InstallLevel, PolicyRule } from './snapshot.ts'
import { ruleOf, snapshotOf } from './testing.ts'
import { STANDARD_VERBS, TIER_RULES, TIERS } from './tier-rules.ts'

const now = new Date('2026-03-01T12:00:00.000Z')
const READ = ['get', 'list', 'watch']
const roles = {
  reads: [ruleOf({ verbs: READ, resources: ['pods', 'pods/log'] })],
  edits: [ruleOf({ verbs: ['*'], resources: ['pods', 'pods/exec', 'secrets'] })],
  rules: [ruleOf({ verbs: ['*'], apiGroups: ['*'], resources: ['*'] })],
  impersonates: [ruleOf({ verbs: ['impersonate'], resources: ['users'] })],
}

test.each<{ rules: PolicyRule[]; tier: string | undefined }>([
  { rules: [], tier: 'postern-view' },
  { rules: roles.reads, tier: 'postern-view' },
  { rules: [ruleOf({ verbs: READ, resources: ['nodes', 'namespaces'] })], tier: 'postern-view' },
  { rules: [ruleOf({ verbs: READ, apiGroups: ['apps'], resources: ['*'] })], tier: 'postern-view' },
  { rules: [ruleOf({ verbs: ['get'], nonResourceUrls: ['/healthz/etcd'] })], tier: 'postern-view' },
  { rules: [ruleOf({ verbs: ['get'], resources: ['secrets'] })], tier: 'postern-edit' },
  { rules: [ruleOf({ verbs: ['get', 'create'], resources: ['pods/exec'] })], tier: 'postern-edit' },
  {
    rules: [ruleOf({ verbs: ['patch'], resources: ['pods/ephemeralcontainers'] })],
    tier: 'postern-edit',
  },
  { rules: [...roles.reads, ...roles.edits], tier: 'postern-edit' },
  { rules: [ruleOf({ verbs: READ, apiGroups: ['*'], resources: ['*'] })], tier: 'postern-admin' },
  {
    rules: [ruleOf({ verbs: ['get'], apiGroups: ['x.example'], resources: ['w'] })],
    tier: 'postern-admin',
  },
  {
    rules: [ruleOf({ verbs: ['create'], resources: ['serviceaccounts/token'] })],
    tier: 'postern-admin',
  },
  { rules: [ruleOf({ verbs: ['*'], nonResourceUrls: ['*'] })], tier: 'postern-admin' },
  { rules: roles.rules, tier: 'postern-admin' },
  { rules: roles.impersonates, tier: undefined },
  { rules: [...roles.rules, ...roles.impersonates], tier: undefined },
  {
    rules: [
      ruleOf({
        verbs: ['escalate', 'bind'],
        apiGroups: ['rbac.authorization.k8s.io'],
        resources: ['clusterroles'],
      }),
    ],
    tier: undefined,
  },
  {
    // A pair that does not exist needs nobody: there are no deployments in the core group.
    rules: [ruleOf({ verbs: READ, apiGroups: ['', 'apps'], resources: ['pods', 'deployments'] })],
    tier: 'postern-view',
  },
  { rules: [ruleOf({ verbs: ['*'], resources: ['pods/log'] })], tier: 'postern-view' },
  { rules: [ruleOf({ verbs: ['*'], resources: ['pods', 'pods/exec'] })], tier: 'postern-edit' },
  {
    rules: [ruleOf({ verbs: ['*'], apiGroups: ['x.example'], resources: ['pods/exec'] })],
    tier: 'postern-admin',
  },
  { rules: [ruleOf({ verbs: ['post'], nonResourceUrls: ['/x'] })], tier: undefined },
])('$rules needs $tier', ({ rules, tier }) => {
  expect(coveringTier(rules)).toBe(tier)
})

test('each tier contains the ones before it', () => {
  for (const [index, tier] of TIERS.entries()) {
    expect(TIERS.indexOf(coveringTier(TIER_RULES[tier]) ?? 'postern-view')).toBe(index)
  }
})

test('no tier impersonates, binds or escalates, and below admin none mints tokens', () => {
  for (const rule of TIERS.flatMap((tier) => TIER_RULES[tier])) {
    for (const verb of rule.verbs) expect(STANDARD_VERBS).toContain(verb)
  }
  for (const tier of ['postern-view', 'postern-edit'] as const) {
    const token = { verb: 'create', resource: 'serviceaccounts', subresource: 'token' }
    const rules = compileRules(TIER_RULES[tier])
    expect(rulesAllow(rules, resourceAttributes(token), 'create')).toBe(false)
  }
  const secrets = resourceAttributes({ verb: 'get', resource: 'secrets' })
  expect(rulesAllow(compileRules(TIER_RULES['postern-view']), secrets, 'get')).toBe(false)
})

test('what a covered role allows, its tier allows', () => {
  const some = (values: string[]) =>
    fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 })
  const resources = ['pods', 'secrets', 'nodes', 'deployments', 'widgets']
  const rule = fc
    .record({
      verbs: some(['*', ...STANDARD_VERBS]),
      apiGroups: some(['', 'apps', '*', 'x.example']),
      resources: some(['*', '*/exec', '*/scale', 'pods/exec', 'pods/log', ...resources]),
      resourceNames: fc.constantFrom<string[]>([], ['x']),
    })
    .map(ruleOf)
  const request = fc
    .record({
      verb: fc.constantFrom(...STANDARD_VERBS),
      apiGroup: fc.constantFrom('', 'apps', 'x.example'),
      resource: fc.constantFrom(...resources),
      subresource: fc.constantFrom('', 'exec', 'scale', 'log'),
      name: fc.constantFrom('', 'x'),
    })
    .map(resourceAttributes)
    .filter(({ verb, apiGroup, resource, subresource }) => {
      const name = subresource === '' ? resource : `${resource}/${subresource}`
      const verbs = verbsOfSubresource(apiGroup, name) ?? STANDARD_VERBS
      return mayExist(apiGroup, name) && verbs.includes(verb)
    })
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 3, minLength: 1 }), request, (rules, asked) => {
      const tier = coveringTier(rules)
      if (tier === undefined) return false
      if (!rulesAllow(compileRules(rules), asked, asked.verb)) return true
      return rulesAllow(compileRules(TIER_RULES[tier]), asked, asked.verb)
    }),
    { numRuns: 5000 },
  )
})

const bindingsOf = (
  grants: (Pick<Grant, 'roleId' | 'namespaces'> & Partial<Grant>)[],
  installLevel: InstallLevel = 'admin',
) =>
  accountBindings(
    snapshotOf({
      users: [{ id: 'alice' }],
      roles: Object.entries(roles).map(([id, rules]) => ({ id, rules })),
      grants: grants.map((grant, index) => ({
        id: `grant-${index}`,
        subjects: [{ kind: 'user', id: 'alice' }],
        clusters: { clusterIds: ['prod'] },
        ...grant,
      })),
      clusters: [{ id: 'prod', installLevel }],
    }),
    { userId: 'alice', clusterId: 'prod' },
    now,
  )

const inNamespaces = (...names: string[]) => ({ all: false, names })
const everywhere = { all: true, names: [] }
const view = (...namespaces: string[]) => ({ clusterRole: 'postern-view', namespaces })
const edit = (...namespaces: string[]) => ({ clusterRole: 'postern-edit', namespaces })
const admin = (...namespaces: string[]) => ({ clusterRole: 'postern-admin', namespaces })
const many = Array.from({ length: 21 }, (_, index) => `n${index}`)

test.each([
  { grants: [], bindings: [] },
  { grants: [{ roleId: 'reads', namespaces: inNamespaces('b', 'a') }], bindings: [view('a', 'b')] },
  { grants: [{ roleId: 'reads', namespaces: everywhere }], bindings: [view()] },
  { grants: [{ roleId: 'reads', namespaces: inNamespaces('a', 'x*') }], bindings: [view()] },
  { grants: [{ roleId: 'reads', namespaces: inNamespaces(...many) }], bindings: [view()] },
  {
    grants: [
      {
        roleId: 'reads',
        namespaces: { ...inNamespaces('a'), labels: { matchLabels: {}, matchExpressions: [] } },
      },
    ],
    bindings: [view()],
  },
  {
    grants: [
      { roleId: 'edits', namespaces: inNamespaces('b') },
      { roleId: 'reads', namespaces: inNamespaces('a') },
      { roleId: 'reads', namespaces: inNamespaces('b', 'c') },
    ],
    bindings: [view('a', 'c'), edit('b')],
  },
  {
    grants: [
      { roleId: 'reads', namespaces: everywhere },
      { roleId: 'rules', namespaces: inNamespaces('b') },
    ],
    bindings: [view(), admin('b')],
  },
  {
    grants: [
      { roleId: 'reads', namespaces: inNamespaces('a') },
      { roleId: 'edits', namespaces: everywhere },
    ],
    bindings: [edit()],
  },
  {
    grants: [{ roleId: 'rules', namespaces: inNamespaces('postern-jit', 'postern-system', 'a') }],
    bindings: [view('postern-jit', 'postern-system'), admin('a')],
  },
  {
    grants: [{ roleId: 'reads', namespaces: everywhere, notAfter: now.toISOString() }],
    bindings: [],
  },
])('grants $grants bind $bindings', ({ grants, bindings }) => {
  expect(bindingsOf(grants)).toEqual({ bindings, uncovered: [] })
  expect(bindingsOf(grants.toReversed()).bindings).toEqual(bindings)
})

test('an account has no more than the agent was installed with, and it is said what is missing', () => {
  const grants = [
    { roleId: 'reads', namespaces: everywhere },
    { roleId: 'edits', namespaces: inNamespaces('a') },
    { roleId: 'impersonates', namespaces: everywhere },
  ]
  expect(bindingsOf(grants, 'view')).toEqual({
    bindings: [view()],
    uncovered: [
      {
        grant: { id: 'grant-1', name: 'grant-1' },
        why: 'role "edits" needs postern-edit, and the agent was installed with postern-view at most; install it again at a higher level',
      },
      { grant: { id: 'grant-2', name: 'grant-2' }, why: expect.stringContaining('impersonate') },
    ],
  })
  expect(bindingsOf(grants, 'edit').bindings).toEqual([view(), edit('a')])
})

test('a disabled user and a removed cluster have no bindings', () => {
  const snapshot = snapshotOf({
    users: [{ id: 'alice', disabled: true }],
    clusters: [{ id: 'prod' }],
  })
  const none = { bindings: [], uncovered: [] }
  expect(accountBindings(snapshot, { userId: 'alice', clusterId: 'prod' }, now)).toEqual(none)
  expect(accountBindings(snapshot, { userId: 'alice', clusterId: 'gone' }, now)).toEqual(none)
})
