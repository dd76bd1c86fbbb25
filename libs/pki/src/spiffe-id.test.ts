import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseSpiffeId, toPart, toSpiffeId } from './spiffe-id.ts'

test.each([
  ['spiffe://td/service/policy', { kind: 'policy', id: 'policy' }],
  ['spiffe://td/gateway/g1', { kind: 'gateway', id: 'g1' }],
  ['spiffe://td/relay/r1', { kind: 'relay', id: 'r1' }],
  ['spiffe://td/agent/c1/a1', { kind: 'agent', id: 'a1', clusterId: 'c1' }],
])('%s is a part of Postern', (spiffeId, part) => {
  expect(toPart('td', spiffeId)).toEqual({ ...part, spiffeId })
})

test.each([
  'spiffe://other/service/policy',
  'spiffe://td/service/printer',
  'spiffe://td/service/policy/x',
  'spiffe://td/service',
  'spiffe://td/policy',
  'spiffe://td/agent/c1',
  'spiffe://td/agent/c1/a1/x',
  'spiffe://td/gateway',
  'spiffe://td/gateway/g1/x',
  'spiffe://td/service/../gateway/g1',
  'spiffe://td/console/console',
  'spiffe://td/gateway/',
  'spiffe://td',
  'https://td/service/policy',
  '',
])('%j is nobody', (text) => {
  expect(toPart('td', text)).toBeUndefined()
})

test.each([
  'spiffe://TD/a',
  'spiffe://td/a//b',
  'spiffe://td/a/',
  'spiffe://td/./a',
  'spiffe://td/..',
  'spiffe://td/a?b',
  'spiffe://td/a#b',
  'spiffe://td/a%41',
  'spiffe://td/ä',
  'spiffe://user@td/a',
  'spiffe://td:1/a',
  'SPIFFE://td/a',
  ' spiffe://td/a',
  'spiffe://td/a\n',
  'spiffe:///a',
  `spiffe://td/${'a'.repeat(3000)}`,
])('%j is malformed', (text) => {
  expect(() => parseSpiffeId(text)).toThrow('malformed')
})

test('what is built is parsed back to the same, and no segment can smuggle in another', () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { minLength: 1, maxLength: 4 }), (segments) => {
      const wellFormed = segments.every(
        (each) => /^[A-Za-z0-9._-]+$/.test(each) && !/^\.\.?$/.test(each),
      )
      const outcome = attempt(() => parseSpiffeId(toSpiffeId('td', ...segments)).segments)
      expect(outcome).toEqual(wellFormed ? segments : smuggled(segments))
    }),
  )
})

/** A slash inside a segment makes two of it: still well-formed, never the given segments. */
function smuggled(segments: readonly string[]): readonly string[] | 'rejected' {
  return attempt(() => parseSpiffeId(`spiffe://td/${segments.join('/')}`).segments)
}

function attempt<T>(work: () => T): T | 'rejected' {
  try {
    return work()
  } catch {
    return 'rejected'
  }
}
