import { expect, test } from 'vitest'
import { vectorChecks } from './vectors.ts'

/** What the one check of such a file says; undefined when it passes. */
function failureOf(...lines: readonly unknown[]): string | undefined {
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line)))
  const [check] = vectorChecks('file.jsonl', text.join('\n'))
  try {
    void check?.run({
      cluster: unavailable,
      wholeCluster: unavailable,
      recording: unavailable,
      say: () => {},
      stop: async () => {},
    })
    return undefined
  } catch (error) {
    return String(error)
  }
}

const unavailable = () => Promise.reject(new Error('no vector needs a cluster'))
const LIST = 'GET /api/v1/namespaces/a/pods'

test.each([
  { name: 'every field', ri: { IsRes: true, Verb: 'list', NS: 'a', Res: 'pods', Parts: ['pods'] } },
  { name: 'one field', ri: { Verb: 'list' } },
])('a vector of $name is compared by what it names', ({ ri }) => {
  expect(failureOf({ in: LIST, ri })).toBeUndefined()
  expect(failureOf({ in: LIST, ri: { ...ri, Verb: 'get' } })).toMatch(/'list'.*'get'/s)
})

test('an error is expected where kube-apiserver answers one, and only there', () => {
  expect(failureOf({ in: 'GET /api/v1/watch', ri: null })).toBeUndefined()
  expect(failureOf({ in: LIST, ri: null })).toMatch(/'error'/)
  expect(failureOf({ in: 'GET /api/v1/watch', ri: { Verb: 'watch' } })).toMatch(/'error'/)
})

test.each([
  { name: 'no JSON', line: '{', says: /line 1 is not JSON/ },
  { name: 'nothing of a request', line: { ri: { Verb: 'get' } }, says: /line 1 is no vector.*in/s },
  { name: 'no expectation', line: { in: LIST }, says: /line 1 is no vector.*ri/s },
  { name: 'an empty expectation', line: { in: LIST, ri: {} }, says: /must name a field/ },
  { name: 'a field that is none', line: { in: LIST, ri: { Verbs: 'x' } }, says: /Verbs/ },
  { name: 'a wrong type', line: { in: LIST, ri: { Verb: 7 } }, says: /expected string/ },
  {
    name: 'no path',
    line: { in: 'GET', ri: { Verb: 'get' } },
    says: /a method, a space and a path/,
  },
])('a line with $name fails and says why', ({ line, says }) => {
  expect(failureOf(line)).toMatch(says)
})

test('an empty file fails: it would pass for success', () => {
  expect(failureOf('', '  ')).toMatch(/there is no line/)
})
