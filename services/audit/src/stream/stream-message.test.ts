import fc from 'fast-check'
import { expect, test } from 'vitest'
import { eventOf } from '../record/audit-event.ts'
import { toStreamMessage } from './stream-message.ts'

const bodyOf = (cluster: unknown) =>
  Buffer.from(
    JSON.stringify({
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: 'Metadata',
      auditID: 'a',
      stage: 'ResponseComplete',
      annotations: cluster === undefined ? {} : { 'postern.dev/cluster': cluster },
    }),
  )
const messageOf = (body: Buffer) =>
  toStreamMessage('postern.internal/audit', { index: 4, body, event: eventOf(body) })

test('a record goes out under its cluster, as the very bytes that were hashed', () => {
  const body = bodyOf('prod-1')
  expect(messageOf(body)).toEqual({
    subject: 'postern.audit.prod-1',
    headers: {
      'content-type': 'application/json',
      'ce-id': '4',
      'ce-source': 'postern.internal/audit',
      'ce-type': 'audit.k8s.io.v1.Event',
    },
    data: body,
  })
})

test('a record without a cluster, and an invalid one, go out under "none"', () => {
  expect(messageOf(bodyOf(undefined)).subject).toBe('postern.audit.none')
  const invalid = messageOf(Buffer.from('{"kind":"InvalidRecord"}'))
  expect(invalid.subject).toBe('postern.audit.none')
  expect(invalid.headers['ce-type']).toBe('audit.postern.dev.v1.InvalidRecord')
})

test('no cluster name can choose another subject', () => {
  const names = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('a.b', '*', '>', 'a b', '', '$JS'),
  )
  fc.assert(
    fc.property(names, (name) => {
      expect(messageOf(bodyOf(name)).subject).toMatch(/^postern\.audit\.[A-Za-z0-9][A-Za-z0-9_-]*$/)
    }),
  )
})
