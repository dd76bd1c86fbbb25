import type { HeaderLines } from './header-lines.ts'

export type UpgradeProtocol = 'websocket' | 'SPDY/3.1'

/** What a gateway asks an agent to send to its cluster. */
export type RequestHead = {
  /** Whose account. */
  readonly sessionId: string
  /** Goes to the cluster as Audit-ID. */
  readonly auditId: string
  /** W3C trace context; empty if there is none. */
  readonly traceparent: string
  readonly method: string
  /** Canonical path and query. */
  readonly target: string
  /** From the allow-list: no Host, Authorization, Audit-ID or framing but Content-Length. */
  readonly headers: HeaderLines
  /** Only on an upgrade connection. */
  readonly upgrade?: UpgradeProtocol | undefined
}

/** Checked by whoever made it: nothing in it could end or split a line of it. */
export type ResponseHead = {
  readonly status: number
  readonly headers: HeaderLines
}
