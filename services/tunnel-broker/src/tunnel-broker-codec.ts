import { type EventCodec, eventCodec } from '@postern/eventing'
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
import type { ClusterEvent } from './cluster/cluster.ts'
import type { JoinTokenEvent } from './join-token/join-token.ts'
import type { RelayEvent } from './relay/relay.ts'

/** Everything that can stand in this service's log. */
export type TunnelBrokerEvent = ClusterEvent | JoinTokenEvent | RelayEvent

export const tunnelBrokerCodec: EventCodec<TunnelBrokerEvent> = eventCodec(
  'postern.tunnelbroker.events.v1',
  {
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
  },
)
