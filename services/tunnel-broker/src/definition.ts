import { defineService } from '@postern/service'
import { clustersProjection } from './cluster/clusters-projection.ts'
import { composeTunnelBroker } from './compose.ts'
import { type TunnelBrokerConfig, tunnelBrokerSettings } from './config.ts'
import type { TunnelBrokerDatabase } from './database.ts'
import { joinTokensProjection } from './join-token/join-tokens-projection.ts'
import { clusters } from './migrations/0001-clusters.ts'
import { relaysProjection } from './relay/relays-projection.ts'
import { type TunnelBrokerEvent, tunnelBrokerCodec } from './tunnel-broker-codec.ts'

/** Clusters, their agents, and the relays that agents are reached through. Carries no user bytes. */
export const tunnelBrokerService = defineService<
  TunnelBrokerConfig,
  TunnelBrokerDatabase,
  TunnelBrokerEvent
>({
  name: 'tunnel-broker',
  settings: tunnelBrokerSettings,
  log: {
    codec: tunnelBrokerCodec,
    projections: [clustersProjection, joinTokensProjection, relaysProjection],
    migrations: { '0001-clusters': clusters },
  },
  compose: composeTunnelBroker,
})
