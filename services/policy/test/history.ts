import type { PolicyEvent } from '../src/policy-event.ts'

const id = (index: number) => `01900000-0000-7000-8000-${index.toString(16).padStart(12, '0')}`
const [view, edit, everyone, some] = [id(1), id(2), id(3), id(4)] as const

const rules = [
  {
    verbs: ['get', 'list', 'watch'],
    apiGroups: ['', 'apps'],
    resources: ['pods', 'pods/log', '*/scale'],
    resourceNames: ['web'],
    nonResourceUrls: [],
  },
  {
    verbs: ['get'],
    apiGroups: [],
    resources: [],
    resourceNames: [],
    nonResourceUrls: ['/healthz', '/apis/*'],
  },
]
const allTerms = {
  subjects: [{ kind: 'user', id: id(10) }],
  roleId: view,
  clusters: { clusterIds: [], labels: { matchLabels: {}, matchExpressions: [] } },
  namespaces: { all: true, names: [] },
}
const someTerms = {
  subjects: [{ kind: 'group', id: id(11) }],
  roleId: edit,
  clusters: {
    clusterIds: [id(12)],
    labels: {
      matchLabels: { env: 'dev', tier: '' },
      matchExpressions: [
        { key: 'region', operator: 'In', values: ['eu', 'us'] },
        { key: 'legacy', operator: 'DoesNotExist', values: [] },
      ],
    },
  },
  namespaces: {
    all: false,
    names: ['team-*'],
    labels: { matchLabels: { team: 'a' }, matchExpressions: [] },
  },
  notBefore: '2026-01-01T00:00:00.000Z',
  notAfter: '2026-02-01T00:00:00.123Z',
}

/** A short history with every type of event that this version writes. */
export const history: readonly { stream: string; event: PolicyEvent }[] = [
  {
    stream: `role-${view}`,
    event: { type: 'RoleCreated', roleId: view, name: 'view', description: 'sees — all', rules },
  },
  {
    stream: `role-${view}`,
    event: { type: 'RoleChanged', roleId: view, description: '', rules: rules.slice(0, 1) },
  },
  {
    stream: `role-${edit}`,
    event: { type: 'RoleCreated', roleId: edit, name: 'edit', description: '', rules },
  },
  {
    stream: `grant-${everyone}`,
    event: { type: 'GrantCreated', grantId: everyone, name: 'everyone', terms: allTerms },
  },
  {
    stream: `grant-${some}`,
    event: { type: 'GrantCreated', grantId: some, name: 'some', terms: allTerms },
  },
  {
    stream: `grant-${some}`,
    event: { type: 'GrantChanged', grantId: some, terms: someTerms },
  },
  {
    stream: `grant-${everyone}`,
    event: { type: 'GrantRevoked', grantId: everyone, reason: 'too wide' },
  },
  { stream: `role-${view}`, event: { type: 'RoleDeleted', roleId: view } },
]

/** Named here so that TypeScript refuses a new type of event without a sample of it. */
const samples: Record<PolicyEvent['type'], true> = {
  RoleCreated: true,
  RoleChanged: true,
  RoleDeleted: true,
  GrantCreated: true,
  GrantChanged: true,
  GrantRevoked: true,
}

export const eventTypes = Object.keys(samples)
