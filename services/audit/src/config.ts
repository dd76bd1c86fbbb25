import { z } from 'zod'

const DAY = 24 * 60 * 60
const GIB = 1024 ** 3

/** Beside the settings of every service. */
export const auditSettings = z.object({
  signingKeyFile: z
    .string()
    .min(1)
    .describe(
      'PEM file with the Ed25519 private key that signs the log; keep it with the database',
    ),
  logOrigin: z
    .string()
    .regex(/^[^\s+]{1,200}$/, 'text without spaces and plus signs')
    .optional()
    .describe('name of the log in its checkpoints; "<trust domain>/audit" when absent'),
  streamMaxAgeSeconds: z.coerce
    .number()
    .int()
    .min(60)
    .max(10 * 365 * DAY)
    .default(7 * DAY)
    .describe('how long a record stays in the stream for SIEMs; the log keeps everything'),
  streamMaxBytes: z.coerce
    .number()
    .int()
    .min(1024 * 1024)
    .max(1024 * GIB)
    .default(GIB)
    .describe('how large the stream for SIEMs may become; the oldest records go first'),
})

export type AuditConfig = z.output<typeof auditSettings>
