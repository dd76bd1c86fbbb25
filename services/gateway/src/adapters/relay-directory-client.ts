import { eventCodec, followLog } from '@postern/eventing'
import { EventLogServiceDefinition } from '@postern/proto/postern/eventlog/v1/event_log'
import { RelayRegistered } from '@postern/proto/postern/tunnelbroker/events/v1/events'
import type { RpcClients } from '@postern/rpc'
import type { Log } from '@postern/telemetry'

const codec = eventCodec('postern.tunnelbroker.events.v1', { RelayRegistered })

/** Where the relays are, by the log of tunnel-broker. */
export function followRelays(needs: { clients: RpcClients; log: Log }) {
  const { clients, log } = needs
  const relays = new Map<string, string>()
  const follower = followLog({
    service: 'tunnel-broker',
    paths: clients.paths(EventLogServiceDefinition, 'tunnel-broker'),
    log,
    codec,
    onEvents: (events) => {
      for (const { event } of events) relays.set(event.relayId, event.gatewayAddress)
    },
    onReset: () => relays.clear(),
  })
  return {
    addresses: () => [...new Set(relays.values())],
    stop: () => follower.stop(),
  }
}
