import { hostPort } from '@postern/service'
import { z } from 'zod'

/** Beside the settings of every service. */
export const relaySettings = z.object({
  listen: hostPort().describe('the one port, for agents and gateways'),
  agentAddress: hostPort().describe('where agents reach that port'),
  gatewayAddress: hostPort().describe('where gateways reach that port'),
  joinAddress: hostPort().describe("where the relay reaches tunnel-broker's join port"),
})

export type RelayConfig = z.output<typeof relaySettings>
