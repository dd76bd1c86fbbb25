export { type ParkAgentOptions, type ParkedAgent, parkAgent } from './agent-end.ts'
export { type ClientHello, createClientHelloReader } from './client-hello.ts'
export { type ControlConnection, createControlConnection } from './control-connection.ts'
export type { ControlMessage, RefusalReason } from './control-message.ts'
export { NoAgentError, TunnelError, type TunnelFailure } from './errors.ts'
export {
  type ClusterMux,
  type ClusterUpgrade,
  createGatewayDialer,
  type GatewayDialer,
  type GatewayDialerOptions,
} from './gateway-end.ts'
export { type Peer, peerOf } from './peer.ts'
export { encodePreface, PREFACE_FIRST_BYTE, parsePreface } from './preface.ts'
export type { Purpose } from './purpose.ts'
export {
  pairServerName,
  type Route,
  relayServerName,
  type SplicedService,
  toRoute,
} from './server-name.ts'
