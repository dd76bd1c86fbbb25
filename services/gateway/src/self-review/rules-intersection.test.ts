import fc from 'fast-check'
import { expect, test } from 'vitest'
import { intersectRules, type ResourceRule, type Rules } from './rules-intersection.ts'

const some = (...values: string[]) => fc.uniqueArray(fc.constantFrom(...values), { maxLength: 3 })
const rule = fc.record({
  verbs: some('get', 'list', 'delete', '*'),
  apiGroups: some('', 'apps', '*'),
  resources: some('pods', 'pods/exec', 'deployments/scale', '*/scale', '*'),
  resourceNames: some('a', 'b'),
})
const rules = fc.array(rule, { maxLength: 4 })

/** RBAC's own reading of a rule. */
function allows(list: readonly ResourceRule[], asked: Asked): boolean {
  return list.some(({ verbs, apiGroups, resources, resourceNames }) => {
    const [, subresource] = asked.resource.split('/')
    const hits = (values: readonly string[], value: string) =>
      values.includes('*') || values.includes(value)
    const byResource =
      hits(resources, asked.resource) ||
      (subresource !== undefined && resources.includes(`*/${subresource}`))
    const byName = resourceNames.length === 0 || resourceNames.includes(asked.name)
    return hits(verbs, asked.verb) && hits(apiGroups, asked.group) && byResource && byName
  })
}
type Asked = { verb: string; group: string; resource: string; name: string }

test('the intersection allows exactly what both allow', () => {
  const asked = fc.record({
    verb: fc.constantFrom('get', 'list', 'delete', 'patch'),
    group: fc.constantFrom('', 'apps', 'batch'),
    resource: fc.constantFrom('pods', 'pods/exec', 'deployments/scale', 'jobs/scale', 'jobs'),
    name: fc.constantFrom('', 'a', 'b', 'c'),
  })
  const of = (resourceRules: ResourceRule[]): Rules => ({
    resourceRules,
    nonResourceRules: [],
    incomplete: false,
    evaluationError: '',
  })
  fc.assert(
    fc.property(rules, rules, asked, (policy, cluster, question) => {
      const both = intersectRules(of(policy), of(cluster)).resourceRules
      expect(allows(both, question)).toBe(allows(policy, question) && allows(cluster, question))
    }),
    { seed: Date.now() & 0x7fffffff, numRuns: 3_000 },
  )
})

test('URLs are narrowed to the longer prefix', () => {
  const of = (...nonResourceURLs: string[]): Rules => ({
    resourceRules: [],
    nonResourceRules: [{ verbs: ['get'], nonResourceURLs }],
    incomplete: false,
    evaluationError: '',
  })
  const { nonResourceRules } = intersectRules(
    of('/healthz*', '/metrics'),
    of('/healthz/etcd', '/version'),
  )
  expect(nonResourceRules).toEqual([{ verbs: ['get'], nonResourceURLs: ['/healthz/etcd'] }])
})
