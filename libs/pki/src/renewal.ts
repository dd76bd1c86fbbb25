import type { TlsMaterial } from './tls-identity.ts'
import { notBeforeOf } from './tls-identity.ts'

const RENEW_AT = 2 / 3
const JITTER = 1 / 20
const RETRY_MS_MIN = 1_000
const RETRY_MS_MAX = 5 * 60_000
// setTimeout cannot wait longer.
const WAIT_MS_MAX = 2 ** 31 - 1

/** How long to wait before renewing: two thirds of the life, give or take a twentieth. */
export function untilRenewalMs(material: TlsMaterial, now: Date, random: number): number {
  const from = notBeforeOf(material).getTime()
  const life = material.notAfter.getTime() - from
  const at = from + life * (RENEW_AT + (random - 0.5) * JITTER)
  return Math.min(Math.max(at - now.getTime(), 0), WAIT_MS_MAX)
}

/** How long to wait after a failed attempt: doubling from a second to five minutes, with jitter. */
export function retryDelayMs(failures: number, random: number): number {
  const ceiling = Math.min(RETRY_MS_MIN * 2 ** Math.min(failures, 20), RETRY_MS_MAX)
  return ceiling * (0.5 + random / 2)
}
