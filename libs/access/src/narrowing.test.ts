import fc from 'fast-check'
import { expect, test } from 'vitest'
import { resourceAttributes } from './attributes.ts'
import { parseFieldSelector } from './field-selector.ts'
import { guardrailAgainst } from './guardrails.ts'
import { narrowedQuestion, narrowedTarget } from './narrowing.ts'
import { parseRequestInfo } from './request-info.ts'

const EXCLUSIONS = 'metadata.namespace!%3Dpostern-system%2Cmetadata.namespace!%3Dpostern-jit'
const narrowed = (target: string, method = 'GET') =>
  narrowedTarget(parseRequestInfo(method, target), target)

test.each([
  { target: '/api/v1/secrets', query: `fieldSelector=${EXCLUSIONS}` },
  { target: '/api/v1/secrets?limit=500', query: `limit=500&fieldSelector=${EXCLUSIONS}` },
  { target: '/api/v1/secrets?watch=1', query: `watch=1&fieldSelector=${EXCLUSIONS}` },
  {
    target: '/api/v1/secrets?fieldSelector=metadata.name%3Ds&limit=1',
    query: `fieldSelector=metadata.name%3Ds,${EXCLUSIONS}&limit=1`,
  },
  { target: '/api/v1/secrets?fieldSelector=', query: `fieldSelector=${EXCLUSIONS}` },
  { target: '/api/v1/secrets?fieldSelector', query: `fieldSelector=${EXCLUSIONS}` },
  { target: '/api/v1/secrets?field%53elector=a%3Db', query: `fieldSelector=a%3Db,${EXCLUSIONS}` },
])('the secrets of all namespaces are asked for without those of Postern: $target', (one) => {
  expect(narrowed(one.target)).toBe(`/api/v1/secrets?${one.query}`)
})

test.each([
  'GET /api/v1/namespaces/a/secrets',
  'GET /api/v1/pods',
  'GET /api/v1/secrets/s',
  'GET /api/v1/watch/secrets',
  'DELETE /api/v1/secrets',
  'GET /apis/example.com/v1/secrets',
  'GET /api/v1/secrets?fieldSelector=metadata.namespace%3Da',
  `GET /api/v1/secrets?fieldSelector=${EXCLUSIONS}`,
])('every other request stays byte for byte what it is: %s', (request) => {
  const [method = '', target = ''] = request.split(' ')
  expect(narrowed(target, method)).toBe(target)
})

test('whatever the selector, what is forwarded reaches nothing of Postern, or is forbidden', () => {
  const term = fc.constantFrom(
    'metadata.namespace=postern-jit',
    'metadata.namespace!=postern-jit',
    'metadata.name=s',
    'metadata.namespace==postern-system',
    'a=b\\',
    'a\\',
    '=',
    '!=',
    'metadata.namespace=',
    'a=b=c',
    'metadata.namespace=a',
    ' metadata.namespace=postern-jit',
    '\\,',
    '%',
    '&',
    '+',
    '',
  )
  const selector = fc.array(term, { maxLength: 4 }).map((terms) => terms.join(','))
  fc.assert(
    fc.property(selector, fc.boolean(), fc.boolean(), (text, isWatch, isLast) => {
      const pair = `fieldSelector=${encodeURIComponent(text)}`
      const more = isWatch ? 'watch=true' : 'limit=1'
      const target = `/api/v1/secrets?${isLast ? `${more}&${pair}` : `${pair}&${more}`}`
      const info = parseRequestInfo('GET', narrowed(target))
      if (guardrailAgainst(info) !== undefined) return
      const terms = parseFieldSelector(info.fieldSelector) ?? []
      for (const namespace of ['postern-system', 'postern-jit']) {
        const matches = terms.every(({ field, operator, value }) =>
          field === 'metadata.namespace' ? (operator === '=') === (value === namespace) : true,
        )
        expect(matches).toBe(false)
      }
    }),
    { numRuns: 5000 },
  )
})

test('a narrow refusal does not answer a broad question: may I read secrets somewhere', () => {
  for (const verb of ['get', 'list', 'watch', 'create', 'delete']) {
    const asked = resourceAttributes({ verb, resource: 'secrets' })
    expect(guardrailAgainst(asked)).toBeDefined()
    expect(guardrailAgainst(narrowedQuestion(asked))).toBeUndefined()
  }
  const inJit = resourceAttributes({ verb: 'get', resource: 'secrets', namespace: 'postern-jit' })
  expect(guardrailAgainst(narrowedQuestion(inJit))).toBeDefined()
})
