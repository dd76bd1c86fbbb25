import { expect, test } from 'vitest'
import { kubeStatus, statusJson } from './kube-status.ts'

test('a Status is the one that kubectl knows', () => {
  expect(kubeStatus({ code: 403, message: 'no', details: { kind: 'pods' } })).toEqual({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'no',
    reason: 'Forbidden',
    details: { kind: 'pods' },
    code: 403,
  })
  expect(kubeStatus({ code: 503, message: 'x', retryAfterSeconds: 2 }).details).toEqual({
    retryAfterSeconds: 2,
  })
})

test('no markup stands in the JSON, and it means the same', () => {
  const message = '<script>alert("a&b")</script>'
  const json = statusJson({ code: 400, message })
  expect(json).not.toMatch(/[&<>]/)
  expect(JSON.parse(json).message).toBe(message)
})
