import { z } from 'zod'

const MINUTE = 60
const HOUR = 60 * MINUTE

const seconds = (most: number) => z.coerce.number().int().min(1).max(most)

/** Beside the settings of every service. */
export const settings = z.object({
  idleSeconds: seconds(24 * HOUR)
    .default(30 * MINUTE)
    .describe('a session ends after so long without a request and without an open stream'),
  lifetimeSeconds: seconds(24 * HOUR)
    .default(12 * HOUR)
    .describe('a session ends after so long, used or not'),
  accountWaitSeconds: seconds(60)
    .default(10)
    .describe('how long a first request waits for the account in the cluster'),
})
