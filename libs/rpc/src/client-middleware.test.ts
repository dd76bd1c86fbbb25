import { expect, test } from 'vitest'
import { isIdempotent } from './client-middleware.ts'

const method = (name: string, options = {}) => ({
  path: `/postern.test.v1.TestService/${name}`,
  requestStream: false,
  responseStream: false,
  options,
})

test.each([
  'GetGrant',
  'ListUsers',
  'ReadEvents',
  'SearchRecords',
  'Explain',
  'RenewLease',
  'WhoAmI',
  'AuthenticateToken',
])('%s may be sent again', (name) => {
  expect(isIdempotent(method(name))).toBe(true)
})

test.each([
  'CreateGrant',
  'Login',
  'Join',
  'IssueToken',
  'OpenSession',
  'RevokeGrant',
  'IssueAgentCertificate',
  'ForgetAll',
])('%s is sent once', (name) => {
  expect(isIdempotent(method(name))).toBe(false)
})

test('a proto may say so itself', () => {
  expect(isIdempotent(method('PutThing', { idempotencyLevel: 'IDEMPOTENT' }))).toBe(true)
})
