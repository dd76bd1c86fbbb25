import type { Snapshot } from '@postern/access'
import { callAs } from '@postern/rpc/testing'
import { expect, test } from 'vitest'
import { createKnownParties } from '../adapters/known-parties.ts'
import { type AskedQuestion, createAnswerQuestion } from './answer-question.ts'

const now = new Date('2026-01-01T00:00:00Z')
const [alice, bob, devs, dev, view, grantId] = [1, 2, 3, 4, 5, 6].map(
  (index) => `01900000-0000-7000-8000-00000000000${index}`,
) as [string, string, string, string, string, string]

const snapshot: Snapshot = {
  users: new Map([
    [alice, { id: alice, name: 'alice', disabled: false, groupIds: [devs] }],
    [bob, { id: bob, name: 'bob', disabled: false, groupIds: [] }],
  ]),
  groups: new Map([[devs, { id: devs, name: 'developers' }]]),
  roles: new Map([
    [
      view,
      {
        id: view,
        name: 'viewer',
        rules: [
          {
            verbs: ['get'],
            apiGroups: [''],
            resources: ['pods', 'pods/log'],
            resourceNames: [],
            nonResourceUrls: [],
          },
        ],
      },
    ],
  ]),
  grants: new Map([
    [
      grantId,
      {
        id: grantId,
        name: 'devs-view',
        subjects: [{ kind: 'group', id: devs }],
        roleId: view,
        clusters: { clusterIds: [dev] },
        namespaces: { all: false, names: ['team-*'] },
        notAfter: '2026-02-01T00:00:00.000Z',
      },
    ],
  ]),
  clusters: new Map([
    [dev, { id: dev, name: 'dev', labels: {}, installLevel: 'edit', namespaces: new Map() }],
  ]),
}

const replica = {
  snapshot: () => snapshot,
  caughtUp: true,
  positions: () => ({ identity: 1n, policy: 7n, 'tunnel-broker': 1n }),
  onChange: () => () => undefined,
}
const explain = createAnswerQuestion({
  parties: createKnownParties(replica, 10),
  head: async () => 7n,
  now: () => now,
})

const asAlice = callAs({ user: { userId: alice, userName: 'alice' } })
const asBob = callAs({ user: { userId: bob, userName: 'bob' } })
const asAuditor = callAs({ user: { userId: bob, userName: 'bob', platformRole: 'auditor' } })
const question: AskedQuestion = {
  user: '',
  cluster: 'dev',
  verb: 'get',
  apiGroup: '',
  resource: 'pods',
  namespace: 'team-a',
  name: '',
  nonResourceUrl: '',
}

test('an allowed question is answered with the grant and the role that allow it', async () => {
  expect(await explain(question, asAlice)).toMatchObject({
    allowed: true,
    grantName: 'devs-view',
    roleName: 'viewer',
  })
  expect(await explain({ ...question, resource: 'pods/log' }, asAlice)).toMatchObject({
    allowed: true,
  })
})

test.each<[string, Partial<AskedQuestion>]>([
  ['another verb', { verb: 'delete' }],
  ['another subresource', { resource: 'pods/exec' }],
  ['another namespace', { namespace: 'other' }],
  ['every namespace', { namespace: '' }],
])('a denied question (%s) says what is missing', async (_name, part) => {
  const answer = await explain({ ...question, ...part }, asAlice)
  expect(answer).toMatchObject({ allowed: false, grantName: '', roleName: '' })
  expect(answer.missing.join(' ')).toContain('devs-view')
  expect(answer.reason).not.toBe('')
})

test('another moment is decided on the policy of today, and the answer says so', async () => {
  const answer = await explain({ ...question, at: '2026-03-01T00:00:00.000Z' }, asAlice)
  expect(answer.allowed).toBe(false)
  expect(answer.reason).toMatch(/\(for 2026-03-01T00:00:00.000Z, by the policy of today\)$/)
})

test('everyone may ask about themselves; about others only who holds the permission', async () => {
  expect(await explain({ ...question, user: 'ALICE' }, asAlice)).toMatchObject({ allowed: true })
  expect(await explain({ ...question, user: alice }, asAuditor)).toMatchObject({ allowed: true })
  expect(await explain({ ...question, user: 'alice' }, asAuditor)).toMatchObject({ allowed: true })
})

test('who may not ask about others does not learn whether they exist', async () => {
  for (const user of ['alice', alice, 'nobody']) {
    await expect(explain({ ...question, user }, asBob)).rejects.toMatchObject({
      reason: 'ONLY_YOUR_OWN',
    })
  }
})

test.each<[string, Partial<AskedQuestion>, string]>([
  ['no verb', { verb: '' }, 'QUESTION_INCOMPLETE'],
  ['neither resource nor URL', { resource: '' }, 'QUESTION_INCOMPLETE'],
  ['both resource and URL', { nonResourceUrl: '/healthz' }, 'QUESTION_INCOMPLETE'],
  ['a URL in a namespace', { resource: '', nonResourceUrl: '/healthz' }, 'QUESTION_INCOMPLETE'],
  ['two subresources', { resource: 'pods/a/b' }, 'INVALID_RESOURCE'],
  ['an empty subresource', { resource: 'pods/' }, 'INVALID_RESOURCE'],
  ['a long part', { name: 'a'.repeat(1025) }, 'QUESTION_TOO_LONG'],
  ['a moment that is none', { at: 'tomorrow' }, 'INVALID_MOMENT'],
])('a question with %s is refused', async (_name, part, reason) => {
  await expect(explain({ ...question, ...part }, asAlice)).rejects.toMatchObject({ reason })
})

test('whoever does not exist is named', async () => {
  await expect(explain({ ...question, cluster: 'prod' }, asAlice)).rejects.toMatchObject({
    reason: 'CLUSTER_NOT_FOUND',
    message: 'there is no cluster "prod"',
  })
})

test('nothing is decided on logs that were not read to their end', async () => {
  const late = createKnownParties({ ...replica, caughtUp: false }, 10)
  await expect(
    createAnswerQuestion({ parties: late, head: async () => 7n, now: () => now })(
      question,
      asAlice,
    ),
  ).rejects.toMatchObject({ reason: 'NOT_READY' })
  const behind = createAnswerQuestion({
    parties: createKnownParties(replica, 10),
    head: async () => 8n,
    now: () => now,
  })
  await expect(behind(question, asAlice)).rejects.toMatchObject({ reason: 'NOT_READY' })
})

test('a user who was created a moment ago is waited for', async () => {
  let current: Snapshot = { ...snapshot, users: new Map() }
  const listeners = new Set<() => void>()
  const parties = createKnownParties({
    ...replica,
    snapshot: () => current,
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  })
  const found = parties.resolve('user', 'alice')
  current = snapshot
  for (const listener of listeners) listener()
  expect(await found).toBe(alice)
  expect(listeners.size).toBe(0)
})
