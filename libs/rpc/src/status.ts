import { type Category, type Details, Rejection } from '@postern/errors'
import { currentTrace } from '@postern/telemetry'
import { ClientError, ServerError, Status } from 'nice-grpc-common'

/** Trailers beside a status: the reason of a rejection, its details (JSON), the trace of a failure. */
export const REASON = 'postern-reason'
export const DETAILS = 'postern-details'
export const TRACE_ID = 'postern-trace-id'

/** A status as it goes out. `cause` is there when somebody must look at it. */
export type RpcStatus = {
  readonly code: Status
  readonly message: string
  readonly trailers: Readonly<Record<string, string>>
  readonly cause?: unknown
}

const CODES: Readonly<Record<Category, Status>> = {
  invalid_argument: Status.INVALID_ARGUMENT,
  not_found: Status.NOT_FOUND,
  already_exists: Status.ALREADY_EXISTS,
  failed_precondition: Status.FAILED_PRECONDITION,
  permission_denied: Status.PERMISSION_DENIED,
  unauthenticated: Status.UNAUTHENTICATED,
  resource_exhausted: Status.RESOURCE_EXHAUSTED,
  unavailable: Status.UNAVAILABLE,
}

// Sockets that fail, and PostgreSQL's classes 08, 53 and 57P: connection, resources, shutdown.
const UNAVAILABLE_CODE =
  /^(ECONN[A-Z]+|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|08\d..|53\d..|57P0.)$/

/** The one place where an error becomes a gRPC status. */
export function toStatus(error: unknown): RpcStatus {
  if (error instanceof Rejection) {
    const code = CODES[error.category]
    return { code, message: error.message, trailers: trailersOf(error.reason, error.details) }
  }
  if (error instanceof ServerError) {
    return { code: error.code, message: error.details, trailers: {} }
  }
  if (error instanceof Error && error.name === 'AbortError') {
    return { code: Status.CANCELLED, message: 'the call was cancelled', trailers: {} }
  }
  const trailers = { [TRACE_ID]: currentTrace()?.traceId ?? '' }
  if (isUnavailable(error)) {
    const message = 'something that this depends on cannot be reached now, try again'
    return { code: Status.UNAVAILABLE, message, trailers, cause: error }
  }
  const message = `internal error, trace ${trailers[TRACE_ID]}`
  return { code: Status.INTERNAL, message, trailers, cause: error }
}

function trailersOf(reason: string, details: Details): Record<string, string> {
  const reasonOnly = { [REASON]: reason }
  if (Object.keys(details).length === 0) return reasonOnly
  // Metadata is ASCII: RFC 3986 escapes carry the rest.
  return { ...reasonOnly, [DETAILS]: encodeURIComponent(JSON.stringify(details)) }
}

function isUnavailable(error: unknown): boolean {
  if (error instanceof ClientError) {
    return error.code === Status.UNAVAILABLE || error.code === Status.DEADLINE_EXCEEDED
  }
  if (!(error instanceof Error)) return false
  if ('code' in error && typeof error.code === 'string' && UNAVAILABLE_CODE.test(error.code)) {
    return true
  }
  return error.cause instanceof Error && isUnavailable(error.cause)
}
