import { type Category, Rejection } from '@postern/errors'
import { isUnreachable, RpcError, toRejection } from '@postern/rpc'

/** What a failed call answers: RFC 9457 problem details, with Postern's reason. */
export type Problem = {
  readonly type: 'about:blank'
  readonly status: number
  readonly title: string
  readonly detail: string
  readonly reason?: string
  readonly details?: Rejection['details']
  readonly traceId?: string
}

const STATUS: Readonly<Record<Category, readonly [number, string]>> = {
  invalid_argument: [400, 'Bad Request'],
  unauthenticated: [401, 'Unauthorized'],
  permission_denied: [403, 'Forbidden'],
  not_found: [404, 'Not Found'],
  already_exists: [409, 'Conflict'],
  failed_precondition: [409, 'Conflict'],
  resource_exhausted: [429, 'Too Many Requests'],
  unavailable: [503, 'Service Unavailable'],
}

/** The one place where an error becomes an answer. What is not a rule's no says nothing of its cause. */
export function toProblem(error: unknown): Problem {
  const rejection = error instanceof Rejection ? error : toRejection(error)
  if (rejection !== undefined) {
    const [status, title] = STATUS[rejection.category]
    const { reason, message: detail, details } = rejection
    return { type: 'about:blank', status, title, detail, reason, details }
  }
  if (isUnreachable(error)) {
    const detail = 'a service that this needs cannot be reached now; try again'
    return { type: 'about:blank', status: 503, title: 'Service Unavailable', detail }
  }
  const status = clientFault(error)
  if (status !== undefined) {
    const detail = error instanceof Error ? error.message : ''
    return { type: 'about:blank', status, title: 'Bad Request', detail }
  }
  const detail = 'something failed inside Postern; its log tells what'
  const failed = {
    type: 'about:blank' as const,
    status: 500,
    title: 'Internal Server Error',
    detail,
  }
  const traceId = error instanceof RpcError ? error.traceId : undefined
  return traceId === undefined ? failed : { ...failed, traceId }
}

/** fastify's own refusals: a body that is too large, not JSON, or of another type. */
function clientFault(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined
  const { statusCode } = error
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode > 499) return undefined
  return statusCode
}
