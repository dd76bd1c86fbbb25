/** A request to kube-apiserver that did not end with a response. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError'
  /** `unreachable` and `full`: nothing was sent. `lost`: it may have been carried out. */
  readonly kind: 'unreachable' | 'full' | 'lost'

  constructor(kind: UpstreamError['kind'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }
}
