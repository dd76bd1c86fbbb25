import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toLogEntry } from './log-entry.ts'

const delivered = { producer: 'spiffe://postern.internal/gateway/g1#s1', number: 7n }

test('a valid record goes into the log as the very bytes that were delivered', () => {
  // Spaces and key order would not survive being parsed and written again.
  const record = Buffer.from(
    '{ "stage":"Panic", "kind":"Event", "level":"None", "auditID":"a", "apiVersion":"audit.k8s.io/v1" }',
  )
  const entry = toLogEntry({ ...delivered, record })
  expect(entry.body).toBe(record)
  expect(entry.invalidRecord).toBeUndefined()
})

test('whatever a gateway delivers has an entry that fits the log and commits to it', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70_000, size: 'max' }), (record) => {
      const { body, event, invalidRecord } = toLogEntry({ ...delivered, record })
      expect(body.length).toBeLessThanOrEqual(65_535)
      expect(event).toBeUndefined()
      expect(invalidRecord).toBe(record)
      const standIn: unknown = JSON.parse(Buffer.from(body).toString())
      expect(standIn).toMatchObject({
        kind: 'InvalidRecord',
        apiVersion: 'audit.postern.dev/v1',
        producer: delivered.producer,
        number: '7',
        bytes: record.length,
        sha256: createHash('sha256').update(record).digest('hex'),
      })
    }),
    { numRuns: 30 },
  )
})

test('a gateway cannot pass an entry of its own making off as one of the log', () => {
  const forged = Buffer.from('{"kind":"InvalidRecord","apiVersion":"audit.postern.dev/v1"}')
  expect(toLogEntry({ ...delivered, record: forged }).invalidRecord).toBe(forged)
})
