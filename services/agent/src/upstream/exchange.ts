import type { OutgoingRequest, ResponseHead } from '@postern/kube-http'
import type { UpstreamError } from './upstream-error.ts'

/** One request under way. After `abort`, and after its last call, nothing of it does anything. */
export type Exchange = {
  /** False: wait for `onRequestDrain`. The chunk is copied: it is the caller's again. */
  write(chunk: Buffer): boolean
  /** The body of the request is complete. */
  end(): void
  pause(): void
  resume(): void
  abort(): void
}

/** Called in order; exactly one of `onResponseEnd` and `onFailure` is the last. */
export type ExchangeReceiver = {
  /** The body of the request may be sent. Comes before `send` has returned where a connection is free. */
  onReady(exchange: Exchange): void
  onResponse(head: ResponseHead): void
  /** The chunk is good for the call only. */
  onResponseBytes(chunk: Buffer): void
  onResponseEnd(): void
  /** The request's body may go on. */
  onRequestDrain(): void
  /** `unreachable` and `full`: nothing was sent. `lost`: it may have been carried out. */
  onFailure(error: UpstreamError): void
}

/** Carries requests to kube-apiserver. What becomes of one is said to its receiver. */
export type Upstream = {
  /** @throws HeadError when the head cannot be written: nothing was sent */
  send(request: OutgoingRequest, receiver: ExchangeReceiver): Exchange
}
