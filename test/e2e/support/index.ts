export { startTcpProxy, type TcpProxy } from '@postern/fixtures'
export { joinFacts, spawnAgent } from './agent-process.ts'
export {
  type Credentials,
  certificateOf,
  foreignAuthority,
  installationAuthority,
  installationRoots,
} from './certificates.ts'
export { query } from './database.ts'
export { CLUSTER, type E2eWorld, LABELS, startE2eWorld } from './e2e-world.ts'
export { type GatewayProcess, startGatewayProcess } from './gateway-process.ts'
export { grpcCall } from './grpc.ts'
export { type Answer, type HttpOrder, messageOf, send, sendRaw } from './http.ts'
export { natsPassword, saidByNats } from './nats.ts'
export { freeze } from './process-tree.ts'
export { recordsWhere } from './records.ts'
export { type ServiceProcess, spawnService } from './service-process.ts'
export { type OpenStream, openExec, openWatch } from './streams.ts'
export { words } from './words.ts'
