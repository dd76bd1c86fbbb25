export { type Child, freePort, startChild, tail, untilReady } from './child.ts'
export { findProgram } from './find-program.ts'
export {
  buildKubeCluster,
  type KubeCluster,
  type KubeClusterPrograms,
  startKubeCluster,
} from './kube-cluster.ts'
export {
  findNats,
  type LocalNats,
  type NatsProgram,
  type NatsUser,
  natsConfig,
  startNats,
} from './nats.ts'
export { type LocalPostgres, startPostgres } from './postgres.ts'
