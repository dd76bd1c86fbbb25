import { z } from 'zod'

const MINUTE = 60
const HOUR = 60 * MINUTE

const seconds = (least: number, most: number) => z.coerce.number().int().min(least).max(most)

/** Beside the settings of every service. */
export const sessionSettings = z.object({
  // Gateways report every 15 seconds: a shorter limit would end sessions that are in use.
  idleSeconds: seconds(MINUTE, 24 * HOUR)
    .default(30 * MINUTE)
    .describe('a session ends after so long without a request and without an open stream'),
  lifetimeSeconds: seconds(1, 24 * HOUR)
    .default(12 * HOUR)
    .describe('a session ends after so long, used or not'),
  // A gateway itself waits 20 seconds for the answer.
  accountWaitSeconds: seconds(1, 15)
    .default(10)
    .describe('how long a first request waits for the account in the cluster'),
})

export type SessionConfig = z.output<typeof sessionSettings>
