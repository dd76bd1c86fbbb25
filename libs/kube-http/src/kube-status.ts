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
const MARKUP = /[&<>]/g

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
