import { rejections } from '@postern/errors'
import type { Decider } from '@postern/eventing'

/** Where a relay is found. */
export type Relay = { agentAddress: string; gatewayAddress: string } | undefined

export type RelayCommand = {
  type: 'RegisterRelay'
  relayId: string
  agentAddress: string
  gatewayAddress: string
}

export type RelayEvent = {
  type: 'RelayRegistered'
  relayId: string
  agentAddress: string
  gatewayAddress: string
}

const rejected = rejections({
  INVALID_ADDRESS: ['invalid_argument', 'a relay address has the form host:port'],
})

const ADDRESS = /^(?:[A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\]):(\d{1,5})$/
const PORT_MAX = 65_535

/** Registering again moves the relay; where nothing moved, nothing is recorded. */
export const relay: Decider<Relay, RelayCommand, RelayEvent> = {
  initial: undefined,

  decide({ relayId, agentAddress, gatewayAddress }, state) {
    checkAddress(agentAddress)
    checkAddress(gatewayAddress)
    if (state?.agentAddress === agentAddress && state.gatewayAddress === gatewayAddress) return []
    return [{ type: 'RelayRegistered', relayId, agentAddress, gatewayAddress }]
  },

  evolve(_state, { agentAddress, gatewayAddress }) {
    return { agentAddress, gatewayAddress }
  },
}

function checkAddress(address: string): void {
  const port = Number(ADDRESS.exec(address)?.[1] ?? 0)
  if (port < 1 || port > PORT_MAX) throw rejected('INVALID_ADDRESS')
}
