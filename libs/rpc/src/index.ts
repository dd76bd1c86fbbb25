export type { Call, EndUser, Peer } from './call.ts'
export type { CallSettings, RpcClients, ServiceName } from './clients.ts'
export { type RpcRegistration, register } from './registration.ts'
