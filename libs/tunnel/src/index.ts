export { type ParkAgentOptions, type ParkedAgent, parkAgent } from './agent-end.ts'
export { NoAgentError, TunnelError, type TunnelFailure } from './errors.ts'
export {
  type ClusterMux,
  type ClusterUpgrade,
  createGatewayDialer,
  type GatewayDialer,
  type GatewayDialerOptions,
} from './gateway-end.ts'
