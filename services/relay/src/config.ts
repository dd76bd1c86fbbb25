import { hostPort } from '@postern/service'
import { z } from 'zod'

/** Beside the settings of every service. */
export const relaySettings = z.object({
  listen: hostPort().describe('the one port, for agents and gateways'),
  agentAddress: hostPort().describe('where agents reach that port'),
  gatewayAddress: hostPort().describe('where gateways reach that port'),
  joinAddress: hostPort().describe("where the relay reaches tunnel-broker's join port"),
  drainSeconds: z.coerce
    .number()
    .int()
    .min(0)
    .max(3_600)
    .default(20)
    .describe('when it stops: how long what it joins may go on'),
})

export type RelayConfig = z.output<typeof relaySettings>
