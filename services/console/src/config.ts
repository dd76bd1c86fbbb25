import { hostPort } from '@postern/service'
import { z } from 'zod'

/** Beside the settings of every service. */
export const consoleSettings = z.object({
  publicListen: hostPort()
    .default('127.0.0.1:8444')
    .describe('where it serves the public API over HTTPS; port 0 takes a free one'),
  tlsCertFile: z.string().min(1).describe('certificate chain of the public API, PEM'),
  tlsKeyFile: z.string().min(1).describe('its key, PEM'),
  gatewayUrl: z
    .url({ protocol: /^https$/ })
    .describe('where kubectl reaches the gateways, https://host:port'),
  gatewayAddressing: z
    .enum(['host', 'path'])
    .default('host')
    .describe('host: <cluster>.<gateway host>; path: <gateway>/clusters/<cluster>'),
  gatewayCaFile: z
    .string()
    .optional()
    .describe("roots of the gateways' certificate, where no public authority issued it"),
  requestsPerMinute: z.coerce
    .number()
    .int()
    .min(1)
    .max(1_000_000)
    .default(1200)
    .describe('how many requests one client address may make in a minute'),
  organization: z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'a DNS label')
    .default('postern')
    .describe('begins the names in kubeconfigs, so that they merge with others'),
})

export type ConsoleConfig = z.output<typeof consoleSettings>
