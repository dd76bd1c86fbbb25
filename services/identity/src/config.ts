import { z } from 'zod'

/** Beside what every service has. */
export const identitySettings = z.object({
  caDir: z
    .string()
    .min(1)
    .describe('holds the intermediate authority: ca.key, ca.crt (chain), roots.crt'),
})

export type IdentityConfig = z.output<typeof identitySettings>
