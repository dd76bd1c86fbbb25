/** Nothing that a stranger or a broken peer can make more of goes beyond these. */
export const relayLimits = {
  /** Connections that have not said what they want, or not proved who they are. */
  strangersMax: 1024,
  /** For the first bytes, up to where the route is known. */
  firstBytesMs: 5000,
  handshakeMs: 5000,
  controlConnectionsMax: 8192,
  agentsPerClusterMax: 16,
  pairsWaitingMax: 4096,
  pairsWaitingPerGatewayMax: 512,
  /** Numbers are void after this. */
  pairMs: 10_000,
  splicesMax: 16_384,
  /** Of those that anybody can ask for with a server name: pairs keep the rest. */
  serviceSplicesMax: 8192,
  upstreamConnectMs: 5000,
} as const

export type RelayLimits = { readonly [Name in keyof typeof relayLimits]: number }
