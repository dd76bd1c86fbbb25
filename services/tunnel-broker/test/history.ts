import { INSTALL_LEVELS } from '../src/cluster/cluster.ts'
import type { TunnelBrokerEvent } from '../src/tunnel-broker-codec.ts'

const id = (index: number) => `01900000-0000-7000-8000-${index.toString(16).padStart(12, '0')}`
const [prod, dev, used, unused, agent, gone] = [id(1), id(2), id(3), id(4), id(5), id(6)] as const

const story: Readonly<Record<string, readonly TunnelBrokerEvent[]>> = {
  'relay-r1': [
    {
      type: 'RelayRegistered',
      relayId: 'r1',
      agentAddress: 'relay.example.com:443',
      gatewayAddress: '10.0.0.1:8443',
    },
    {
      type: 'RelayRegistered',
      relayId: 'r1',
      agentAddress: '[2001:db8::1]:443',
      gatewayAddress: '10.0.0.2:8443',
    },
  ],
  [`cluster-${prod}`]: [
    {
      type: 'ClusterRegistered',
      clusterId: prod,
      name: 'prod-eu',
      labels: { env: 'prod', 'example.com/tier': '' },
      installLevel: INSTALL_LEVELS.edit,
    },
    { type: 'AgentJoined', clusterId: prod, agentId: agent },
    { type: 'AgentJoined', clusterId: prod, agentId: gone },
    { type: 'AgentRemoved', clusterId: prod, agentId: gone },
    { type: 'ClusterLabelsChanged', clusterId: prod, labels: { env: 'prod', region: 'eu' } },
    { type: 'NamespaceObserved', clusterId: prod, name: 'shop', labels: { team: 'a' } },
    { type: 'NamespaceObserved', clusterId: prod, name: 'old', labels: {} },
    { type: 'NamespaceObserved', clusterId: prod, name: 'shop', labels: { team: 'b' } },
    { type: 'NamespaceGone', clusterId: prod, name: 'old' },
  ],
  [`cluster-${dev}`]: [
    {
      type: 'ClusterRegistered',
      clusterId: dev,
      name: 'dev',
      labels: {},
      installLevel: INSTALL_LEVELS.admin,
    },
    { type: 'ClusterRemoved', clusterId: dev },
  ],
  [`join-token-${used}`]: [
    {
      type: 'JoinTokenIssued',
      tokenId: used,
      clusterId: prod,
      tokenSha256: Buffer.alloc(32, 7),
      expiresAt: '2026-01-01T01:00:00.000Z',
    },
    { type: 'JoinTokenRedeemed', tokenId: used, agentId: agent },
  ],
  [`join-token-${unused}`]: [
    {
      type: 'JoinTokenIssued',
      tokenId: unused,
      clusterId: dev,
      tokenSha256: Buffer.alloc(32, 255),
      expiresAt: '2026-01-01T01:00:00.123Z',
    },
  ],
}

/** A short history with every type of event that this version writes. */
export const history: readonly { stream: string; event: TunnelBrokerEvent }[] = Object.entries(
  story,
).flatMap(([stream, events]) => events.map((event) => ({ stream, event })))

/** Named here so that TypeScript refuses a new type of event without a sample of it. */
const samples: Record<TunnelBrokerEvent['type'], true> = {
  ClusterRegistered: true,
  ClusterLabelsChanged: true,
  ClusterRemoved: true,
  JoinTokenIssued: true,
  JoinTokenRedeemed: true,
  AgentJoined: true,
  AgentRemoved: true,
  NamespaceObserved: true,
  NamespaceGone: true,
  RelayRegistered: true,
}

export const eventTypes = Object.keys(samples)
