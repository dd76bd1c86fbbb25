/** What a data connection is for, as its ALPN protocol says too. */
export type Purpose = 'mux' | 'upgrade'

export const protocolOf = (purpose: Purpose): string => `postern-${purpose}/1`
export const isPurpose = (value: unknown): value is Purpose =>
  value === 'mux' || value === 'upgrade'
