import { expect, test } from 'vitest'
import { readPublicApi } from './public-api-codec.ts'
import { queryToJson } from './query.ts'

const { registry } = readPublicApi()
const message = registry.getMessage('postern.audit.v1.SearchRecordsRequest')
if (message === undefined) throw new Error('the descriptors lack SearchRecordsRequest')
const parse = (query: string) => queryToJson(new URLSearchParams(query), message)

test('a query takes proto names and JSON names', () => {
  expect(parse('page_size=5&afterIndex=18446744073709551615&ascending=true')).toEqual({
    pageSize: '5',
    afterIndex: '18446744073709551615',
    ascending: true,
  })
})

test.each([
  { name: 'an unknown parameter', query: 'usr=alice', reason: 'UNKNOWN_PARAMETER' },
  { name: 'a parameter twice', query: 'user=a&user=b', reason: 'REPEATED_PARAMETER' },
  {
    name: 'a parameter under both its names',
    query: 'page_size=1&pageSize=2',
    reason: 'REPEATED_PARAMETER',
  },
  { name: 'a boolean that is none', query: 'ascending=yes', reason: 'INVALID_PARAMETER' },
  { name: 'a name of the language', query: '__proto__=x', reason: 'UNKNOWN_PARAMETER' },
])('$name is refused', ({ query, reason }) => {
  expect(() => parse(query)).toThrow(expect.objectContaining({ reason }))
})
