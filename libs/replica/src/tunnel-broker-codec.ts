import { eventCodec } from '@postern/eventing'
import {
  AgentJoined,
  AgentRemoved,
  ClusterLabelsChanged,
  ClusterRegistered,
  ClusterRemoved,
  JoinTokenIssued,
  JoinTokenRedeemed,
  NamespaceGone,
  NamespaceObserved,
  RelayRegistered,
} from '@postern/proto/postern/tunnelbroker/events/v1/events'
import { knownEventsOnly } from './known-events.ts'

export const tunnelBrokerCodec = knownEventsOnly(
  eventCodec('postern.tunnelbroker.events.v1', {
    AgentJoined,
    AgentRemoved,
    ClusterLabelsChanged,
    ClusterRegistered,
    ClusterRemoved,
    JoinTokenIssued,
    JoinTokenRedeemed,
    NamespaceGone,
    NamespaceObserved,
    RelayRegistered,
  }),
)

export type TunnelBrokerEvent = ReturnType<typeof tunnelBrokerCodec.decode>
