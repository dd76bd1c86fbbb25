import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseAccessReview, parseRulesReview } from './review-body.ts'

const PROTOBUF = 'application/vnd.kubernetes.protobuf'
const seed = Date.now() & 0x7fffffff

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  return Buffer.from([...bytes, rest])
}
const field = (number: number, bytes: Buffer | string) =>
  Buffer.concat([varint((number << 3) | 2), varint(Buffer.byteLength(bytes)), Buffer.from(bytes)])
const envelope = (raw: Buffer) =>
  Buffer.concat([
    Buffer.from('k8s\0'),
    field(1, field(1, 'authorization.k8s.io/v1')),
    field(2, raw),
  ])

const text = fc.string({ maxLength: 200 })
const question = fc.record({
  namespace: text,
  verb: text,
  group: text,
  version: text,
  resource: text,
  subresource: text,
  name: text,
})

test('SR-06: protobuf and JSON ask the same question', () => {
  fc.assert(
    fc.property(question, (asked) => {
      const attributes = Buffer.concat(
        [
          asked.namespace,
          asked.verb,
          asked.group,
          asked.version,
          asked.resource,
          asked.subresource,
          asked.name,
        ].map((value, index) => field(index + 1, value)),
      )
      const spec = { resourceAttributes: asked }
      const json = parseAccessReview(Buffer.from(JSON.stringify({ spec })), 'application/json')
      const protobuf = parseAccessReview(envelope(field(2, field(1, attributes))), PROTOBUF)
      expect(json).toEqual({ kind: 'resource', ...asked, fieldSelector: '' })
      expect(protobuf).toEqual(json)
    }),
    { seed, numRuns: 300 },
  )
})

test('bytes that are no review are not taken for one, and never break anything', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 80 }),
      fc.constantFrom(PROTOBUF, 'application/json', 'application/yaml', ''),
      (bytes, type) => {
        for (const body of [Buffer.from(bytes), Buffer.concat([Buffer.from('k8s\0'), bytes])]) {
          parseAccessReview(body, type)
          parseRulesReview(body, type)
        }
      },
    ),
    { seed, numRuns: 3_000 },
  )
})

test.each([
  { name: 'both kinds', spec: { resourceAttributes: {}, nonResourceAttributes: {} } },
  { name: 'neither kind', spec: {} },
  { name: 'a number for a word', spec: { resourceAttributes: { verb: 1 } } },
])('a review with $name is not understood', ({ spec }) => {
  expect(
    parseAccessReview(Buffer.from(JSON.stringify({ spec })), 'application/json'),
  ).toBeUndefined()
})

test.each([
  { fieldSelector: { rawSelector: 'metadata.name=x' }, text: 'metadata.name=x' },
  {
    fieldSelector: {
      requirements: [
        { key: 'metadata.namespace', operator: 'NotIn', values: ['a', 'b'] },
        { key: 'metadata.name', operator: 'In', values: ['x'] },
      ],
    },
    text: 'metadata.namespace!=a,metadata.namespace!=b,metadata.name=x',
  },
])('the field selector of a question is understood: $text', ({ fieldSelector, text: wanted }) => {
  const spec = { resourceAttributes: { verb: 'list', resource: 'secrets', fieldSelector } }
  const asked = parseAccessReview(Buffer.from(JSON.stringify({ spec })), 'application/json')
  expect(asked).toMatchObject({ fieldSelector: wanted })
})
