export { type Access, type AccessTable, accessOf } from './access.ts'
export type { Call, EndUser, Peer } from './call.ts'
export type { AuthenticateUser } from './call-middleware.ts'
export type { CallSettings } from './client-middleware.ts'
export {
  createAnonymousClient,
  createRpcClients,
  type RpcClients,
  type RpcClientsNeeds,
  type ServiceName,
} from './clients.ts'
export { createRpcServer } from './create-rpc-server.ts'
export { endUserAuthenticator } from './end-user-authenticator.ts'
export { cutPage, type Page, parsePage, parsePageSize } from './page.ts'
export { type RpcRegistration, register } from './registration.ts'
export { isUnimplemented, isUnreachable, RpcError, toRejection } from './rpc-error.ts'
export type { RpcServer, RpcServerNeeds } from './rpc-server.ts'
export type { ClientCertificates } from './server-credentials.ts'
