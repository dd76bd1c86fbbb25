import { given, play } from '@postern/eventing/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type RoleCommand, type RoleEvent, role } from './role.ts'

const now = new Date('2026-01-01T00:00:00Z')
const at = { by: 'user:alice', now }
const roleId = '01900000-0000-7000-8000-000000000001'
const rule = {
  verbs: ['get', 'list'],
  apiGroups: [''],
  resources: ['pods', 'pods/log'],
  resourceNames: [],
  nonResourceUrls: [],
}
const url = { ...rule, apiGroups: [], resources: [], nonResourceUrls: ['/healthz', '/apis/*'] }
const rules = [rule, url]
const terms = { description: 'sees pods', rules }
const created: RoleEvent = { type: 'RoleCreated', roleId, name: 'viewer', ...terms }
const deleted: RoleEvent = { type: 'RoleDeleted', roleId }

test('a role keeps the rules it was created with', () => {
  given(role, [])
    .when({ type: 'CreateRole', roleId, name: 'viewer', ...terms }, at)
    .emits([created])
})

test('changing a role to what it already is changes nothing', () => {
  given(role, [created])
    .when({ type: 'ChangeRole', ...terms }, at)
    .emits([])
})

test('changing a role replaces its rules', () => {
  given(role, [created])
    .when({ type: 'ChangeRole', description: 'sees pods', rules: [rule] }, at)
    .emits([{ type: 'RoleChanged', roleId, description: 'sees pods', rules: [rule] }])
})

test('deleting a deleted role succeeds and changes nothing', () => {
  given(role, [created, deleted]).when({ type: 'DeleteRole' }, at).emits([])
})

test.each<{ name: string; past: RoleEvent[]; command: RoleCommand; reason: string }>([
  {
    name: 'creating a role again',
    past: [created],
    command: { type: 'CreateRole', roleId, name: 'viewer', ...terms },
    reason: 'ROLE_EXISTS',
  },
  {
    name: 'changing an absent role',
    past: [],
    command: { type: 'ChangeRole', ...terms },
    reason: 'ROLE_NOT_FOUND',
  },
  {
    name: 'changing a deleted role',
    past: [created, deleted],
    command: { type: 'ChangeRole', ...terms },
    reason: 'ROLE_NOT_FOUND',
  },
  {
    name: 'deleting an absent role',
    past: [],
    command: { type: 'DeleteRole' },
    reason: 'ROLE_NOT_FOUND',
  },
])('$name is rejected', ({ past, command, reason }) => {
  given(role, past).when(command, at).rejects(reason)
})

test.each(['', 'Viewer', 'view er', '-viewer', 'viewer-', 'a'.repeat(64), '../x', roleId])(
  'a role cannot be named %j',
  (name) => {
    given(role, [])
      .when({ type: 'CreateRole', roleId, name, ...terms }, at)
      .rejects('INVALID_NAME')
  },
)

test.each([
  ['no rules', [], 'RULES_COUNT'],
  ['too many rules', Array.from({ length: 101 }, () => rule), 'RULES_COUNT'],
  ['no verbs', [{ ...rule, verbs: [] }], 'VERBS_MISSING'],
  ['a verb in capitals', [{ ...rule, verbs: ['GET'] }], 'INVALID_VERB'],
  ['a verb with a wildcard inside', [{ ...rule, verbs: ['get*'] }], 'INVALID_VERB'],
  ['no API group', [{ ...rule, apiGroups: [] }], 'API_GROUPS_MISSING'],
  ['an API group with a version', [{ ...rule, apiGroups: ['apps/v1'] }], 'INVALID_API_GROUP'],
  ['no resources', [{ ...rule, resources: [] }], 'RESOURCES_MISSING'],
  ['pods/*', [{ ...rule, resources: ['pods/*'] }], 'SUBRESOURCE_WILDCARD'],
  ['*/*', [{ ...rule, resources: ['*/*'] }], 'SUBRESOURCE_WILDCARD'],
  ['a kind instead of a resource', [{ ...rule, resources: ['Pod'] }], 'INVALID_RESOURCE'],
  ['a resource pattern', [{ ...rule, resources: ['pod*'] }], 'INVALID_RESOURCE'],
  ['two subresources', [{ ...rule, resources: ['pods/a/b'] }], 'INVALID_RESOURCE'],
  ['an object name pattern', [{ ...rule, resourceNames: ['web-*'] }], 'INVALID_RESOURCE_NAME'],
  ['an object named ..', [{ ...rule, resourceNames: ['..'] }], 'INVALID_RESOURCE_NAME'],
  ['a path as object name', [{ ...rule, resourceNames: ['a/b'] }], 'INVALID_RESOURCE_NAME'],
  ['both kinds in one rule', [{ ...rule, nonResourceUrls: ['/x'] }], 'RULE_KINDS_MIXED'],
  ['URLs with an API group', [{ ...url, apiGroups: [''] }], 'RULE_KINDS_MIXED'],
  ['a relative URL', [{ ...url, nonResourceUrls: ['healthz'] }], 'INVALID_NON_RESOURCE_URL'],
  ['a star inside a URL', [{ ...url, nonResourceUrls: ['/a/*/b'] }], 'INVALID_NON_RESOURCE_URL'],
  ['two stars in a URL', [{ ...url, nonResourceUrls: ['/a**'] }], 'INVALID_NON_RESOURCE_URL'],
  ['a query in a URL', [{ ...url, nonResourceUrls: ['/a?b'] }], 'INVALID_NON_RESOURCE_URL'],
  ['long lists', [{ ...rule, verbs: Array(101).fill('get') }], 'LIST_TOO_LONG'],
  ['an over-long entry', [{ ...rule, resourceNames: ['a'.repeat(254)] }], 'INVALID_RESOURCE_NAME'],
  [
    'too much in all',
    Array.from({ length: 4 }, () => ({ ...rule, resourceNames: Array(100).fill('a'.repeat(200)) })),
    'ROLE_TOO_LARGE',
  ],
])('a role with %s is refused', (_name, wrong, reason) => {
  given(role, [])
    .when({ type: 'CreateRole', roleId, name: 'viewer', description: '', rules: wrong }, at)
    .rejects(reason)
})

test.each([
  [{ ...rule, verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
  [{ ...rule, apiGroups: ['', 'apps', 'rbac.authorization.k8s.io'] }],
  [{ ...rule, resources: ['*/scale', 'deployments/scale', 'horizontalpodautoscalers'] }],
  [{ ...rule, resourceNames: ['system:node', 'kube-root-ca.crt', 'a_b'] }],
  [{ ...url, nonResourceUrls: ['*'] }],
  [{ ...url, nonResourceUrls: ['/'] }],
])('a rule that RBAC gives a meaning is accepted: %j', (accepted) => {
  const change = { type: 'RoleChanged' as const, roleId, description: '', rules: [accepted] }
  given(role, [created])
    .when({ type: 'ChangeRole', description: '', rules: [accepted] }, at)
    .emits([change])
})

test('a refused rule is named by its number and entry', () => {
  const command: RoleCommand = {
    type: 'ChangeRole',
    description: '',
    rules: [rule, { ...rule, resources: ['pods', 'pods/*'] }],
  }
  const state = role.evolve(role.initial, created)
  expect(() => role.decide(command, state, at)).toThrow(/^rule 2, "pods\/\*": RBAC gives/)
})

test('whatever is asked in whatever order, a role is created once, deleted once, and stays deleted', () => {
  const command = fc.oneof<fc.Arbitrary<RoleCommand>[]>(
    fc.constant({ type: 'CreateRole', roleId, name: 'viewer', ...terms }),
    fc.record({
      type: fc.constant('ChangeRole'),
      description: fc.constantFrom('', 'other'),
      rules: fc.constantFrom([rule], rules),
    }),
    fc.constant({ type: 'DeleteRole' }),
  )
  fc.assert(
    fc.property(fc.array(command, { maxLength: 30 }), (commands) => {
      const steps = play(
        role,
        commands.map((each) => ({ command: each, context: at })),
      )
      const types = steps.flatMap(({ events }) => events.map(({ type }) => type)).join(' ')
      expect(types).toMatch(/^(RoleCreated( RoleChanged)*( RoleDeleted)?)?$/)
    }),
  )
})
