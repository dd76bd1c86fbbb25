import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseRecord, RECORD_BYTES_MAX, searchableText } from './audit-event.ts'

const whole = {
  kind: 'Event',
  apiVersion: 'audit.k8s.io/v1',
  level: 'Metadata',
  auditID: '0199aa00-0000-7000-8000-000000000001',
  stage: 'RequestReceived',
  requestURI: '/api/v1/namespaces/shop/pods/web-0/exec?command=sh',
  verb: 'create',
  user: { username: 'trainee', groups: ['developers'] },
  objectRef: { resource: 'pods', namespace: 'shop', name: 'web-0', subresource: 'exec' },
  requestReceivedTimestamp: '2026-11-21T09:30:00.123456Z',
  stageTimestamp: '2026-11-21T09:30:00.200000Z',
  annotations: { 'postern.dev/cluster': 'prod-1', 'postern.dev/decision': 'deny' },
}

const parse = (value: unknown) => parseRecord(Buffer.from(JSON.stringify(value)))
const reasonOf = (record: Uint8Array) => {
  const parsed = parseRecord(record)
  return parsed.valid ? undefined : parsed.reason
}

test('an event gives up everything that searches look at', () => {
  expect(parse(whole)).toEqual({
    valid: true,
    event: {
      auditId: '0199aa00-0000-7000-8000-000000000001',
      stage: 'RequestReceived',
      user: 'trainee',
      cluster: 'prod-1',
      namespace: 'shop',
      verb: 'create',
      resource: 'pods',
      subresource: 'exec',
      decision: 'deny',
      receivedAt: '2026-11-21T09:30:00.123456Z',
    },
  })
})

test('a request that names no resource, user or time is an event all the same', () => {
  const { user: _user, objectRef: _ref, requestReceivedTimestamp: _at, ...rest } = whole
  const { stageTimestamp: _stage, annotations: _annotations, ...bare } = rest
  expect(parse({ ...bare, user: null, annotations: null })).toMatchObject({
    valid: true,
    event: { user: '', resource: '', cluster: '', receivedAt: undefined },
  })
})

test.each([
  { at: '2026-11-21T09:30:00Z', utc: '2026-11-21T09:30:00.000000Z' },
  { at: '2026-11-21T10:30:00.5+01:00', utc: '2026-11-21T09:30:00.500000Z' },
  { at: '2026-11-21t09:30:00.123456789z', utc: '2026-11-21T09:30:00.123456Z' },
])('the time $at is understood', ({ at, utc }) => {
  expect(parse({ ...whole, requestReceivedTimestamp: at })).toMatchObject({
    event: { receivedAt: utc },
  })
})

describe('a record is not an event', () => {
  const bytes = (text: string) => Buffer.from(text)
  test.each([
    { why: 'no bytes', record: bytes(''), reason: 'not a JSON object' },
    { why: 'no JSON', record: bytes('{"kind":'), reason: 'not a JSON object' },
    { why: 'an array', record: bytes('[]'), reason: 'not a JSON object' },
    { why: 'null', record: bytes('null'), reason: 'not a JSON object' },
    { why: 'a byte order mark', record: bytes(`\uFEFF${JSON.stringify(whole)}`), reason: 'JSON' },
    { why: 'no UTF-8', record: Buffer.from([0x22, 0xff, 0x22]), reason: 'not UTF-8' },
    { why: 'deep nesting', record: bytes('['.repeat(50_000)), reason: 'not a JSON object' },
    { why: 'too many bytes', record: Buffer.alloc(RECORD_BYTES_MAX + 1, 0x20), reason: '61441' },
  ])('when it is $why', ({ record, reason }) => {
    expect(reasonOf(record)).toContain(reason)
  })

  test.each([
    { why: 'another kind', change: { kind: 'Pod' }, reason: 'audit.k8s.io/v1 Event' },
    { why: 'another version', change: { apiVersion: 'audit.k8s.io/v2' }, reason: 'Event' },
    { why: 'no audit id', change: { auditID: undefined }, reason: 'auditID' },
    { why: 'an empty audit id', change: { auditID: '' }, reason: 'auditID' },
    { why: 'a very long audit id', change: { auditID: 'x'.repeat(513) }, reason: 'auditID' },
    { why: 'an unknown stage', change: { stage: 'Done' }, reason: 'stage' },
    { why: 'an unknown level', change: { level: 'All' }, reason: 'level' },
    { why: 'a user that is a text', change: { user: 'alice' }, reason: 'user' },
    { why: 'a number as user name', change: { user: { username: 7 } }, reason: 'user.username' },
    { why: 'a list as object', change: { objectRef: [] }, reason: 'objectRef' },
    { why: 'a verb that is a list', change: { verb: ['get'] }, reason: 'verb' },
    { why: 'no such day', change: { stageTimestamp: '2026-13-01T00:00:00Z' }, reason: 'stageTime' },
    {
      why: 'a time without zone',
      change: { stageTimestamp: '2026-01-01T00:00:00' },
      reason: 'time',
    },
    {
      why: 'a year before all others',
      change: { requestReceivedTimestamp: '0000-01-01T00:00:00Z' },
      reason: 'requestReceivedTimestamp',
    },
    {
      why: 'a year that the zone moves out of four digits',
      change: { requestReceivedTimestamp: '9999-12-31T23:59:59-23:00' },
      reason: 'requestReceivedTimestamp',
    },
  ])('when it has $why', ({ change, reason }) => {
    expect(reasonOf(Buffer.from(JSON.stringify({ ...whole, ...change })))).toContain(reason)
  })
})

test('names that every object has from its prototype are no fields', () => {
  const record = JSON.stringify(whole).replace('"user":', '"__proto__":{"user":{}},"user":')
  expect(parseRecord(Buffer.from(record))).toMatchObject({ event: { user: 'trainee' } })
})

test('what a database does not take never comes out', () => {
  const event = {
    ...whole,
    user: { username: `a\0b\ud800${'ü'.repeat(1000)}` },
    annotations: { 'postern.dev/cluster': 'x\0' },
  }
  const parsed = parse(event)
  expect(parsed).toMatchObject({ valid: true, event: { cluster: 'x\uFFFD' } })
  expect(parsed.valid && parsed.event.user).toBe(searchableText(event.user.username))
  expect(searchableText(event.user.username)).toHaveLength(512)
})

test('no bytes at all make the parser throw, and what it takes fits the database', () => {
  const field = fc.oneof(fc.string({ unit: 'binary', maxLength: 600 }), fc.jsonValue())
  const nearly = fc
    .record(
      {
        auditID: field,
        stage: fc.constantFrom('RequestReceived', 'ResponseComplete', 'Panic', 'x'),
        verb: field,
        user: fc.oneof(fc.record({ username: field }), field),
        objectRef: fc.oneof(fc.record({ namespace: field, resource: field }), field),
        annotations: fc.oneof(fc.dictionary(fc.string(), field), field),
        stageTimestamp: fc.oneof(fc.date({ noInvalidDate: true }), field),
      },
      { requiredKeys: [] },
    )
    .map((change) => Buffer.from(JSON.stringify({ ...whole, ...change })))
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), nearly), (record) => {
      const parsed = parseRecord(record)
      const texts = parsed.valid ? Object.values(parsed.event) : [parsed.reason]
      for (const text of texts) {
        expect((text ?? '').length).toBeLessThanOrEqual(512)
        expect(text ?? '').not.toMatch(/\0|\p{Surrogate}/u)
      }
    }),
    { numRuns: 500 },
  )
})
