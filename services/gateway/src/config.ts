import { hostPort, hostPorts } from '@postern/service'
import { z } from 'zod'

const MIB = 1024 * 1024
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'

const count = (fallback: number, most: number) =>
  z.coerce.number().int().min(1).max(most).default(fallback)

/** Beside the settings of every service. */
export const gatewaySettings = z.object({
  listen: hostPort().describe('where kubectl connects: HTTPS, h2 and HTTP/1.1 on one port'),
  domain: z
    .string()
    .regex(new RegExp(`^(?:${LABEL}\\.)*${LABEL}$`), 'a DNS name in lower case')
    .describe('a cluster is reached as <cluster>.<domain>, or below /clusters/<cluster>'),
  tlsCertFile: z
    .string()
    .min(1)
    .describe('PEM chain for <domain> and *.<domain>; read again when it changes'),
  tlsKeyFile: z.string().min(1).describe('PEM key of that certificate'),
  spoolDir: z
    .string()
    .min(1)
    .describe('audit records wait here; a disk of its own that survives a restart'),
  spoolBytesMax: z.coerce
    .number()
    .int()
    .min(MIB)
    .max(1024 * 1024 * MIB)
    .default(1024 * MIB)
    .describe('how much may wait; near it, what must not run unrecorded is refused'),
  relayAddresses: hostPorts(100)
    .optional()
    .describe('relays as host:port with commas; those that tunnel-broker knows when absent'),
  connectionsMax: count(10_000, 1_000_000).describe('TLS connections of clients'),
  requestsMax: count(20_000, 1_000_000).describe('requests and streams at the same time'),
  requestsPerUserMax: count(200, 100_000).describe('of one user, those that end by themselves'),
  streamsPerUserMax: count(1_000, 100_000).describe('of one user, watches and upgrades'),
  requestsPerSecondPerUser: count(200, 100_000).describe('in the long run'),
  requestsBurstPerUser: count(1_000, 1_000_000).describe('at once'),
  drainNoticeSeconds: z.coerce
    .number()
    .int()
    .min(0)
    .max(600)
    .default(5)
    .describe('when it stops: how long it serves on while balancers see that it is not ready'),
  drainSeconds: count(20, 3_600).describe('after that: how long what runs may go on'),
})

export type GatewayConfig = z.output<typeof gatewaySettings>
