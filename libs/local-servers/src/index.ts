export { type BareKube, startBareKube } from './bare-kube.ts'
export { buildGoProgram } from './build-go-program.ts'
export { type Child, freePort, startChild, tail, untilReady } from './child.ts'
export { findProgram } from './find-program.ts'
export {
  buildKubeCluster,
  type KubeCluster,
  type KubeClusterPrograms,
  startKubeCluster,
} from './kube-cluster.ts'
export { commandOf, endLeftover } from './leftover.ts'
export {
  findNats,
  type LocalNats,
  type NatsProgram,
  type NatsUser,
  natsConfig,
  startNats,
} from './nats.ts'
export { type LocalPostgres, startPostgres } from './postgres.ts'
