import { readFileSync } from 'node:fs'
import { Rejection } from '@postern/errors'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseRequestInfo, requestInfoOf } from './request-info.ts'

const linesOf = (file: string): unknown[] =>
  readFileSync(new URL(`../../../test/conformance/${file}`, import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown)

type Vector = {
  in: string
  path: string
  /** Null where kube-apiserver answers an error. */
  ri: {
    IsRes: boolean
    Verb: string
    Prefix: string
    Group: string
    Version: string
    NS: string
    Res: string
    Sub: string
    Name: string
    Parts: string[] | null
    FieldSel?: string
    LabelSel?: string
  } | null
}

const vectors = ['requestinfo-vectors.jsonl', 'requestinfo-oracle-vectors.jsonl'].flatMap(
  (file) => linesOf(file) as Vector[],
)

const parsed = ({ in: request, path }: Vector): unknown => {
  const space = request.indexOf(' ')
  const target = request.slice(space + 1)
  const cut = target.indexOf('?')
  const query = cut === -1 ? '' : target.slice(cut + 1)
  let info: ReturnType<typeof requestInfoOf>
  try {
    info = requestInfoOf(request.slice(0, space), path, query)
  } catch (error) {
    if (error instanceof Rejection && error.reason === 'RESOURCE_MISSING') return 'error'
    throw error
  }
  return {
    IsRes: info.isResourceRequest,
    Verb: info.verb,
    Prefix: info.apiPrefix,
    Group: info.apiGroup,
    Version: info.apiVersion,
    NS: info.namespace,
    Res: info.resource,
    Sub: info.subresource,
    Name: info.name,
    Parts: info.isResourceRequest ? info.parts : null,
    FieldSel: info.fieldSelector,
    LabelSel: info.labelSelector,
  }
}

test.each(vectors)('$in is understood as kube-apiserver understands it', (vector) => {
  expect({ answer: parsed(vector) }).toMatchObject({ answer: vector.ri ?? 'error' })
})

test('there are vectors', () => {
  expect(vectors.length).toBeGreaterThan(1000)
})

type Case = { id: string; request: string; expect: string }
const cases = (linesOf('cases.jsonl') as Case[]).filter(({ id }) => id.startsWith('RI-'))

test.each(cases)('$id: $request', ({ request, expect: expected }) => {
  const space = request.indexOf(' ')
  const info = parseRequestInfo(request.slice(0, space), request.slice(space + 1))
  const resource = info.subresource === '' ? info.resource : `${info.resource}/${info.subresource}`
  const text = info.isResourceRequest
    ? `verb="${info.verb}" group="${info.apiGroup}" resource=${resource} ns="${info.namespace}" name="${info.name}"`
    : `nonresource verb=${info.verb} path=${info.path}`
  expect(expected.startsWith(text), `${expected} | ${text}`).toBe(true)
})

test('there are cases', () => {
  expect(cases.length).toBeGreaterThan(15)
})

test.each(['/api/v1/%zz/pods', '/api/v1/%', '/api/v1/namespaces/%ff/pods'])(
  'a path with bad escapes is refused: %s',
  (target) => {
    expect(() => parseRequestInfo('GET', target)).toThrow(
      expect.objectContaining({ reason: 'PATH_MALFORMED' }),
    )
  },
)

test('a query with more parameters than every release of Go reads is refused', () => {
  const target = `/api/v1/pods?${'a&'.repeat(10_001)}watch=1`
  expect(() => parseRequestInfo('GET', target)).toThrow(
    expect.objectContaining({ reason: 'QUERY_TOO_LONG' }),
  )
})

test('a name in a field selector that is not UTF-8 names nothing', () => {
  const info = parseRequestInfo('GET', '/api/v1/secrets?fieldSelector=metadata.name%3D%ff')
  expect(info).toMatchObject({ verb: 'list', name: '' })
})

const parsedOrRefused = (method: string, target: string): void => {
  try {
    parseRequestInfo(method, target)
  } catch (error) {
    if (!(error instanceof Rejection) || error.category !== 'invalid_argument') throw error
  }
}

test('whatever the request, it is parsed or refused, and never anything else', () => {
  const segment = fc.constantFrom(
    'api',
    'apis',
    'v1',
    'namespaces',
    'a',
    'watch',
    '',
    '%2e',
    '%',
    'é',
  )
  fc.assert(
    fc.property(fc.string(), fc.array(segment), fc.string(), (method, segments, query) => {
      expect(() => parsedOrRefused(method, `/${segments.join('/')}?${query}`)).not.toThrow()
    }),
    { numRuns: 5000 },
  )
})
