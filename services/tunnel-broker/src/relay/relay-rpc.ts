import { RelayServiceDefinition } from '@postern/proto/postern/tunnelbroker/v1/cluster'
import { register } from '@postern/rpc'
import type { RelayRepository } from './relay-repository.ts'

export function createRelayRpc({ relays }: { relays: RelayRepository }) {
  return register(RelayServiceDefinition, {
    async registerRelay({ agentAddress, gatewayAddress }, { call }) {
      const relayId = call.peer.id
      const command = { type: 'RegisterRelay' as const, relayId, agentAddress, gatewayAddress }
      await relays.execute(command, call.actor)
      return {}
    },
  })
}
