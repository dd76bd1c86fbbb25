import { z } from 'zod'

/** Nothing beside what every service has. */
export const policySettings = z.object({})

export type PolicyConfig = z.output<typeof policySettings>
