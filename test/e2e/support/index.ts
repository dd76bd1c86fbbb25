export { type AgentProcess, joinFacts, spawnAgent } from './agent-process.ts'
export {
  type Credentials,
  certificateOf,
  foreignAuthority,
  installationAuthority,
  installationRoots,
} from './certificates.ts'
export { query } from './database.ts'
export { CLUSTER, type E2eWorld, startE2eWorld } from './e2e-world.ts'
export { grpcCall } from './grpc.ts'
export { type Answer, type HttpOrder, messageOf, send, sendRaw } from './http.ts'
export { natsPassword, saidByNats } from './nats.ts'
export { recordsWhere } from './records.ts'
