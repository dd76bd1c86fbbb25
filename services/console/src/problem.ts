import { STATUS_CODES } from 'node:http'
import { type Category, type Details, Rejection } from '@postern/errors'
import { isUnreachable, RpcError, toRejection } from '@postern/rpc'

/** What a failed call answers: RFC 9457 problem details, with Postern's reason. */
export type Problem = {
  readonly type: 'about:blank'
  readonly status: number
  /** RFC 9457 section 4.2.1: with "about:blank", the phrase of the status. */
  readonly title: string
  readonly detail: string
  readonly reason?: string
  readonly details?: Details
  readonly traceId?: string
}

const STATUS: Readonly<Record<Category, number>> = {
  invalid_argument: 400,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  already_exists: 409,
  failed_precondition: 409,
  resource_exhausted: 429,
  unavailable: 503,
}

/** The web server's own refusals, in words of ours: its own may repeat what was sent. */
const CLIENT_FAULTS: Readonly<Record<number, string>> = {
  400: 'the request is malformed: its body must be JSON',
  408: 'the request did not arrive in time',
  413: 'the body is larger than 1 MiB',
  414: 'a part of the path is too long',
  415: 'the body must be application/json',
  429: 'too many requests from this address; wait a minute',
}

/** The one place where an error becomes an answer. What is not a rule's no says nothing of its cause. */
export function toProblem(error: unknown): Problem {
  const rejection = error instanceof Rejection ? error : toRejection(error)
  if (rejection !== undefined) {
    const { category, reason, message, details } = rejection
    const problem = { ...problemOf(STATUS[category], message), reason }
    return Object.keys(details).length === 0 ? problem : { ...problem, details }
  }
  if (isUnreachable(error)) {
    return problemOf(503, 'a service that this needs cannot be reached now; try again')
  }
  const status = clientFault(error)
  if (status !== undefined) {
    return problemOf(status, CLIENT_FAULTS[status] ?? 'the request cannot be served')
  }
  const failed = problemOf(500, 'something failed inside Postern; its log tells what')
  const traceId = error instanceof RpcError ? error.traceId : undefined
  return traceId === undefined ? failed : { ...failed, traceId }
}

export function problemOf(status: number, detail: string): Problem {
  return { type: 'about:blank', status, title: STATUS_CODES[status] ?? 'Error', detail }
}

function clientFault(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined
  const { statusCode } = error
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode > 499) return undefined
  return statusCode
}
