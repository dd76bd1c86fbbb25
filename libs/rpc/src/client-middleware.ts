import { currentTraceparent } from '@postern/telemetry'
import { type DeadlineOptions, deadlineMiddleware } from 'nice-grpc-client-middleware-deadline'
import { type RetryOptions, retryMiddleware } from 'nice-grpc-client-middleware-retry'
import {
  ClientError,
  type ClientMiddleware,
  composeClientMiddleware,
  Metadata,
  type MethodDescriptor,
  Status,
} from 'nice-grpc-common'
import { USER_TOKEN } from './call-middleware.ts'
import { RpcError } from './rpc-error.ts'

/** Per call: a deadline, and the end user's token where the console acts for a user. */
export type CallSettings = { deadlineMs?: number; userToken?: string }

const DEADLINE_MS = 5_000
const RETRIES_MAX = 2
const RETRY_BASE_MS = 100
const RETRY_MS_MAX = 1_000

// Asking twice gives the same as asking once. Everything else is sent once, whatever happens.
const IDEMPOTENT = /\/(Get|List|Read|Search|Explain|Renew|Authenticate|WhoAmI|Check)[A-Za-z]*$/

/** Whether the RPC may be sent again: by its proto's idempotency level, or by its name. */
export function isIdempotent({ path, options }: MethodDescriptor): boolean {
  const { idempotencyLevel } = options
  if (idempotencyLevel !== undefined) return true
  return IDEMPOTENT.test(path)
}

/** Deadlines, retries, the user's token, trace context, and errors that carry their reason. */
export function createClientMiddleware(): ClientMiddleware<CallSettings> {
  const withRetry = composeClientMiddleware(transport, retryMiddleware)
  const withDeadline = composeClientMiddleware(withRetry, deadlineMiddleware)
  return composeClientMiddleware(withDeadline, settings)
}

/** Turns our settings into those of the layers below. */
const settings: ClientMiddleware<CallSettings, DeadlineOptions & RetryOptions> =
  async function* settings(call, options) {
    const { deadlineMs, userToken, ...rest } = options
    const metadata = Metadata(rest.metadata)
    if (userToken !== undefined) metadata.set(USER_TOKEN, userToken)
    const traceparent = currentTraceparent()
    if (traceparent !== undefined) metadata.set('traceparent', traceparent)
    // A stream lasts until its signal; a call must end.
    const deadline = deadlineMs ?? (call.responseStream ? undefined : DEADLINE_MS)
    return yield* call.next(call.request, {
      ...rest,
      metadata,
      ...(deadline === undefined ? {} : { deadline }),
      retry: isIdempotent(call.method),
      retryMaxAttempts: RETRIES_MAX,
      retryBaseDelayMs: RETRY_BASE_MS,
      retryMaxDelayMs: RETRY_MS_MAX,
      retryableStatuses: [Status.UNAVAILABLE],
    })
  }

const transport: ClientMiddleware = async function* transport(call, options) {
  let trailer: Metadata | undefined
  try {
    return yield* call.next(call.request, {
      ...options,
      onTrailer(received) {
        trailer = received
        options.onTrailer?.(received)
      },
    })
  } catch (error) {
    throw error instanceof ClientError ? new RpcError(error, trailer) : error
  }
}
