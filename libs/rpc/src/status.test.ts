import { type Category, Rejection } from '@postern/errors'
import { ClientError, Metadata, Status } from 'nice-grpc-common'
import { expect, test } from 'vitest'
import { RpcError, toRejection } from './rpc-error.ts'
import { toStatus } from './status.ts'

const CATEGORIES: Category[] = [
  'invalid_argument',
  'not_found',
  'already_exists',
  'failed_precondition',
  'permission_denied',
  'unauthenticated',
  'resource_exhausted',
]

test.each(CATEGORIES)('a rejection of category %s survives the way there and back', (category) => {
  const rejection = new Rejection('WHY', category, 'words', { seconds: 7, name: 'é"\n', is: true })
  const { code, message, trailers, cause } = toStatus(rejection)
  expect(cause).toBeUndefined()
  const received = new RpcError(new ClientError('/x', code, message), Metadata(trailers))
  expect(toRejection(received)).toEqual(rejection)
})

test.each([
  { name: 'a bug', error: new TypeError('x is not a function'), code: Status.INTERNAL },
  { name: 'something thrown that is no error', error: 'oops', code: Status.INTERNAL },
  { name: 'a refused socket', error: coded('ECONNREFUSED'), code: Status.UNAVAILABLE },
  { name: 'PostgreSQL going down', error: coded('57P01'), code: Status.UNAVAILABLE },
  {
    name: 'a wrapped refused socket',
    error: new Error('reading', { cause: coded('ECONNRESET') }),
    code: Status.UNAVAILABLE,
  },
  { name: 'a constraint of PostgreSQL', error: coded('23505'), code: Status.INTERNAL },
  {
    name: 'a service that is down',
    error: new ClientError('/x', Status.UNAVAILABLE, 'gone'),
    code: Status.UNAVAILABLE,
  },
  {
    name: 'a denial by a service',
    error: new ClientError('/x', Status.PERMISSION_DENIED, 'no'),
    code: Status.INTERNAL,
  },
])('$name keeps its words to itself', ({ error, code }) => {
  const status = toStatus(error)
  expect(status.code).toBe(code)
  expect(status.cause).toBe(error)
  expect(status.message).not.toMatch(/function|oops|refused|secret|gone|no$/)
})

test('a failure is no rejection', () => {
  expect(
    toRejection(new RpcError(new ClientError('/x', Status.NOT_FOUND, 'x'), undefined)),
  ).toBeUndefined()
  expect(toRejection(new Error('x'))).toBeUndefined()
})

test('malformed details are no details', () => {
  const trailer = Metadata({ 'postern-reason': 'WHY', 'postern-details': '%%%' })
  const error = new RpcError(new ClientError('/x', Status.NOT_FOUND, 'words'), trailer)
  expect(toRejection(error)).toEqual(new Rejection('WHY', 'not_found', 'words'))
})

function coded(code: string): Error {
  return Object.assign(new Error('secret'), { code })
}
