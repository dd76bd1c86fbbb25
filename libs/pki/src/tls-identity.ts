/** A certificate with its key that is replaced before it expires. */
export type TlsIdentity = {
  readonly spiffeId: string
  current(): TlsMaterial
  /** Called with each new certificate. Answers a function that ends it. */
  onRenewed(listener: (material: TlsMaterial) => void): () => void
}

/** PEM, as node:tls and grpc-js take it. */
export type TlsMaterial = {
  /** Leaf first, then intermediates. */
  readonly cert: string
  readonly key: string
  /** Roots. */
  readonly ca: string
  readonly notAfter: Date
}
