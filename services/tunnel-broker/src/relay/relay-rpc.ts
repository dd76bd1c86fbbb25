import { RelayServiceDefinition } from '@postern/proto/postern/tunnelbroker/v1/cluster'
import { register } from '@postern/rpc'
import type { Changes } from '../changes.ts'
import type { RelayRepository } from './relay-repository.ts'

export function createRelayRpc(needs: { relays: RelayRepository; changes: Changes }) {
  const { relays, changes } = needs
  return register(RelayServiceDefinition, {
    async registerRelay({ agentAddress, gatewayAddress }, { call }) {
      const relayId = call.peer.id
      const command = { type: 'RegisterRelay' as const, relayId, agentAddress, gatewayAddress }
      await relays.execute(command, call.actor)
      changes.note()
      return {}
    },
  })
}
