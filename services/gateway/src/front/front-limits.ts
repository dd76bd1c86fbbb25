/** What a connection of a client is given time for. */
export type FrontLimits = {
  readonly headMs: number
  /** Above Go's idle pool of 90 s, so that the client closes first and no request meets a reset. */
  readonly idleMs: number
  /** Then clients connect anew: to new gateways too, and with whatever TLS state is current. */
  readonly ageMs: number
  /** A body that is wanted may be silent so long; over HTTP/2, an answer that has ended may be left untaken. */
  readonly bodySilenceMs: number
  /** How long a client has to close its end. */
  readonly lingerMs: number
}

export const FRONT_LIMITS: FrontLimits = {
  headMs: 32_000,
  idleMs: 120_000,
  ageMs: 60 * 60_000,
  bodySilenceMs: 300_000,
  lingerMs: 2_000,
}

/** What a client is told whose body was silent for longer. */
export const BODY_TOO_SLOW = {
  status: 408,
  problem: 'the body of the request came too slowly',
} as const
