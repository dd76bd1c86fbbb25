import { expect, test } from 'vitest'
import type { Account, AccountOrder } from './account.ts'
import { type ObjectKey, objectsFor } from './account-objects.ts'
import { compare } from './sweep.ts'

const order: AccountOrder = {
  sessionId: 's1',
  version: 2,
  wanted: true,
  account: 'ptr-a',
  userId: 'u1',
  userName: 'alice',
  bindings: [
    { clusterRole: 'postern-view', namespaces: [] },
    { clusterRole: 'postern-edit', namespaces: ['red', 'blue'] },
  ],
  expiresAtMs: 1e15,
}
const made: Account = { status: 'wanted', order, madeVersion: 2 }
const keys = objectsFor(order, 'a1').map(({ key }) => key)
const found = (key: ObjectKey, sessionId = 's1') => ({
  key,
  sessionId,
  uid: 'u',
  agentId: 'a1',
  expiresAtMs: 1e15,
})
const all = keys.map((key) => found(key))

test('an account is a service account, a secret and its bindings, and nothing else', () => {
  expect(keys).toEqual([
    { kind: 'ServiceAccount', namespace: 'postern-jit', name: 'ptr-a' },
    { kind: 'Secret', namespace: 'postern-jit', name: 'ptr-a' },
    { kind: 'ClusterRoleBinding', namespace: '', name: 'ptr-a-postern-view' },
    { kind: 'RoleBinding', namespace: 'red', name: 'ptr-a-postern-edit' },
    { kind: 'RoleBinding', namespace: 'blue', name: 'ptr-a-postern-edit' },
  ])
})

test('a cluster that is as ordered needs nothing', () => {
  expect(compare(all, new Map([['s1', made]]))).toEqual({ orphans: [], extra: [], broken: [] })
})

test.each(keys)('a missing $kind $namespace breaks the account', (key) => {
  const { broken } = compare(
    all.filter((object) => object.key !== key),
    new Map([['s1', made]]),
  )
  expect(broken).toEqual(['s1'])
})

test('what is still being made is not broken', () => {
  const making: Account = { ...made, madeVersion: 1 }
  expect(compare([], new Map([['s1', making]])).broken).toEqual([])
})

test('a binding that the order does not name is extra', () => {
  const stale = found({ kind: 'RoleBinding', namespace: 'green', name: 'ptr-a-postern-edit' })
  expect(compare([...all, stale], new Map([['s1', made]]))).toMatchObject({
    extra: [stale],
    orphans: [],
  })
})

test.each<{ name: string; accounts: ReadonlyMap<string, Account> }>([
  { name: 'nobody ordered', accounts: new Map() },
  {
    name: 'has ended',
    accounts: new Map([
      ['s1', { status: 'unwanted', version: 3, removed: true, rememberUntilMs: 0 }],
    ]),
  },
])('the objects of a session that $name are orphans', ({ accounts }) => {
  expect(compare(all, accounts).orphans).toEqual(all)
})
