import type { HeaderLines } from './header-lines.ts'

export type StatusOrder = {
  readonly code: number
  /** metav1.StatusReason; kube-apiserver's own for the code if left out. */
  readonly reason?: string
  /** What kubectl prints: what is wrong and what to do. */
  readonly message: string
  readonly details?: StatusDetails
  /** Clients repeat the whole request, body and all: only where nothing was forwarded. */
  readonly retryAfterSeconds?: number
}

export type StatusDetails = {
  readonly name?: string
  readonly group?: string
  readonly kind?: string
  readonly causes?: readonly { readonly reason: string; readonly message: string }[]
}

/** metav1.Status. */
export type KubeStatus = {
  readonly kind: 'Status'
  readonly apiVersion: 'v1'
  readonly metadata: Readonly<Record<string, never>>
  readonly status: 'Failure'
  readonly message: string
  readonly reason: string
  readonly details?: StatusDetails & { readonly retryAfterSeconds?: number }
  readonly code: number
}

/** A whole answer. The headers leave Content-Length and Date to whoever sends it. */
export type StatusAnswer = {
  readonly status: number
  readonly headers: HeaderLines
  readonly body: Buffer
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  406: 'NotAcceptable',
  409: 'Conflict',
  410: 'Expired',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
  504: 'Timeout',
}
/** kubectl shows a JSON Status on these as "unknown", and text in full (KUBERNETES.md 5.1). */
const TEXT_PATHS = /^\/(?:apis?|openapi(?:\/.*)?)$/
const MARKUP = /[&<>]/g
const NO_STORE: HeaderLines = [
  ['X-Content-Type-Options', 'nosniff'],
  ['Cache-Control', 'no-cache, private'],
]

export function kubeStatus(order: StatusOrder): KubeStatus {
  const { code, message, retryAfterSeconds } = order
  const details = {
    ...order.details,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  }
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason: order.reason ?? REASONS[code] ?? '',
    ...(Object.keys(details).length === 0 ? {} : { details }),
    code,
  }
}

/** JSON in which no markup stands, as Go writes it: a browser never takes it for a page. */
export function statusJson(order: StatusOrder): string {
  return JSON.stringify(kubeStatus(order)).replace(
    MARKUP,
    (character) => `\\u00${character.charCodeAt(0).toString(16)}`,
  )
}

/** The answer as the clients of that path can show it: text on discovery paths, else a JSON Status. */
export function statusAnswer(order: StatusOrder, path: string): StatusAnswer {
  const isText = TEXT_PATHS.test(path) && order.code !== 401
  const type = isText ? 'text/plain; charset=utf-8' : 'application/json'
  const retry: HeaderLines =
    order.retryAfterSeconds === undefined
      ? []
      : [['Retry-After', String(Math.max(1, Math.ceil(order.retryAfterSeconds)))]]
  return {
    status: order.code,
    headers: [['Content-Type', type], ...NO_STORE, ...retry],
    body: Buffer.from(isText ? order.message : statusJson(order)),
  }
}
