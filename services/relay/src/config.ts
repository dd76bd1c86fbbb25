import { parseHostPort } from '@postern/lifecycle'
import { z } from 'zod'

const hostPort = () =>
  z.string().refine(isHostPort, 'must be "host:port", for example 127.0.0.1:7443')

export const relaySettings = z.object({
  listen: hostPort().describe('the one port, for agents and gateways'),
  agentAddress: hostPort().describe('where agents reach that port'),
  gatewayAddress: hostPort().describe('where gateways reach that port'),
  joinAddress: hostPort().describe("where the relay reaches tunnel-broker's join port"),
})

export type RelayConfig = z.output<typeof relaySettings>

function isHostPort(text: string): boolean {
  try {
    return parseHostPort(text).host !== ''
  } catch {
    return false
  }
}
