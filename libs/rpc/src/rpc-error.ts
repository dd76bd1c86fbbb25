import { type Category, type Details, Rejection } from '@postern/errors'
import { ClientError, type Metadata, Status } from 'nice-grpc-common'
import { DETAILS, REASON, TRACE_ID } from './status.ts'

/** Another service's answer to a call, when it is not the result. */
export class RpcError extends ClientError {
  /** Why a rule said no: "GRANT_EXISTS". */
  readonly reason: string | undefined
  /** Where the other side's log tells what failed. */
  readonly traceId: string | undefined
  readonly rejectionDetails: Details

  constructor(error: ClientError, trailer: Metadata | undefined) {
    super(error.path, error.code, error.details)
    this.reason = textOf(trailer, REASON)
    this.traceId = textOf(trailer, TRACE_ID)
    this.rejectionDetails = parseDetails(textOf(trailer, DETAILS))
  }
}

const CATEGORIES: Partial<Record<Status, Category>> = {
  [Status.INVALID_ARGUMENT]: 'invalid_argument',
  [Status.NOT_FOUND]: 'not_found',
  [Status.ALREADY_EXISTS]: 'already_exists',
  [Status.FAILED_PRECONDITION]: 'failed_precondition',
  [Status.PERMISSION_DENIED]: 'permission_denied',
  [Status.UNAUTHENTICATED]: 'unauthenticated',
  [Status.RESOURCE_EXHAUSTED]: 'resource_exhausted',
  [Status.UNAVAILABLE]: 'unavailable',
}

/** The other side's rejection, to hand on as one's own; `undefined` when the call failed otherwise. */
export function toRejection(error: unknown): Rejection | undefined {
  if (!(error instanceof RpcError) || error.reason === undefined) return undefined
  const category = CATEGORIES[error.code]
  if (category === undefined) return undefined
  return new Rejection(error.reason, category, error.details, error.rejectionDetails)
}

/** Whether the other side could not be reached, or did not answer in time. */
export function isUnreachable(error: unknown): boolean {
  if (!(error instanceof ClientError)) return false
  return error.code === Status.UNAVAILABLE || error.code === Status.DEADLINE_EXCEEDED
}

/** Whether the other side does not know the RPC: it is of an earlier release. */
export function isUnimplemented(error: unknown): boolean {
  return error instanceof ClientError && error.code === Status.UNIMPLEMENTED
}

function textOf(trailer: Metadata | undefined, name: string): string | undefined {
  const value = trailer?.get(name)
  return typeof value === 'string' && value !== '' ? value : undefined
}

function parseDetails(text: string | undefined): Details {
  if (text === undefined) return {}
  try {
    const parsed: unknown = JSON.parse(decodeURIComponent(text))
    if (typeof parsed !== 'object' || parsed === null) return {}
    return Object.fromEntries(Object.entries(parsed).filter(isDetail))
  } catch {
    return {}
  }
}

function isDetail(entry: [string, unknown]): entry is [string, string | number | boolean] {
  return ['string', 'number', 'boolean'].includes(typeof entry[1])
}
