import type { Readable } from 'node:stream'

export type Order = {
  readonly path: string
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** What came of sending a request once. */
export type Attempt =
  | {
      readonly kind: 'answered'
      readonly status: number
      readonly retryAfterSeconds: number | undefined
      readonly body: Readable
      /** Whether the body broke because its connection was lost, and not it alone. */
      isConnectionLost(): boolean
    }
  /** No answer had begun. `refused`: the server promises that it did nothing with it. */
  | { readonly kind: 'failed'; readonly reason: string; readonly refused: boolean }

/** A pool of connections to one server. */
export type Client = {
  send(order: Order): Promise<Attempt>
  close(): void
}

/** Where it connects, and as whom. */
export type ClientOptions = {
  /** "https://127.0.0.1:…/clusters/alpha" */
  readonly url: string
  readonly ca: string
  readonly token: string
}

export const HEAD_MS_MAX = 30_000

export function retryAfter(value: unknown): number | undefined {
  return typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : undefined
}
