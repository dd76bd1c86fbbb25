/** Who asks, and of which cluster. */
export type Requester = { readonly userId: string; readonly clusterId: string }

export type Named = { readonly id: string; readonly name: string }

export type Allow = {
  readonly outcome: 'allow'
  /** The grant that decides, and its role. */
  readonly grant: Named
  readonly role: Named
  /** How it is allowed. */
  readonly reason: string
  readonly missing: readonly string[]
}

export type Deny = {
  readonly outcome: 'deny'
  readonly grant?: undefined
  readonly role?: undefined
  /** The whole sentence that a denied kubectl user sees: Kubernetes' own, then why and what to do. */
  readonly reason: string
  /** For each grant of the user, up to a bound, why it does not allow the request. */
  readonly missing: readonly string[]
}

export type Decision = Allow | Deny
