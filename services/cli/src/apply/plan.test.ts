import { expect, test } from 'vitest'
import { renderChange } from './diff.ts'
import { planChanges } from './plan.ts'
import { parsePolicyFile } from './policy-file.ts'

const file = `
kind: Grant
name: dev
terms:
  subjects: [group:developers]
  role: developer
  clusterSelector: { matchLabels: { env: dev } }
  namespaces: { all: true }
---
kind: Role
name: developer
rules:
  - verbs: [get, list]
    apiGroups: ['']
    resources: [pods]
`
const documents = parsePolicyFile(file)
const rules = [{ verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'], resourceNames: [] }]
const role = { id: 'r1', name: 'developer', description: '', rules }

test('roles come before the grants that name them', () => {
  const plan = planChanges(documents, { roles: new Map(), grants: new Map() })
  expect(plan.map(({ action, document }) => `${action} ${document.kind}`)).toEqual([
    'create Role',
    'create Grant',
  ])
})

test('applying a file that holds already changes nothing: what is empty and what is missing are the same', () => {
  const terms = {
    subjects: ['group:developers'],
    role: 'developer',
    clusters: [],
    clusterSelector: { matchLabels: { env: 'dev' }, matchExpressions: [] },
    namespaces: { all: true, names: [] },
  }
  const present = {
    roles: new Map([['developer', role]]),
    grants: new Map([['dev', { id: 'g1', name: 'dev', terms }]]),
  }
  expect(planChanges(documents, present).map(({ action }) => action)).toEqual(['keep', 'keep'])
})

test('a selector of every cluster is not the same as none', () => {
  const [grant] = parsePolicyFile('kind: Grant\nname: g\nterms: { clusterSelector: {} }')
  const present = { roles: new Map(), grants: new Map([['g', { terms: {} }]]) }
  expect(planChanges(grant === undefined ? [] : [grant], present)[0]?.action).toBe('change')
})

test('a change shows the lines that go and come', () => {
  const wider = { ...role, rules: [{ ...rules[0], verbs: ['get'] }] }
  const present = { roles: new Map([['developer', wider]]), grants: new Map() }
  const [change] = planChanges(documents, present)
  expect(change && renderChange(change)).toMatch(/~ Role developer[\s\S]*\+ {7,}- list/)
})

test.each([
  { name: 'another kind', text: 'kind: User\nname: a' },
  { name: 'no name', text: 'kind: Role' },
  { name: 'an unknown field', text: 'kind: Role\nname: a\nrule: []' },
  { name: 'a name twice', text: 'kind: Role\nname: a\n---\nkind: Role\nname: a' },
  { name: 'a key twice', text: 'kind: Role\nname: a\nname: b' },
  { name: 'broken YAML', text: 'kind: [' },
  { name: 'a list', text: '- kind: Role' },
  { name: 'aliases that grow', text: 'kind: Role\nname: a\nrules: [&x [1], *x]' },
])('a file with $name is refused', ({ text }) => {
  expect(() => parsePolicyFile(text)).toThrow(/document|twice|needs|kind|[Aa]lias/)
})
