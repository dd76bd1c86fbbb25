export { createCommand, type Outcome } from './demo/command.ts'
export { AGENT_IMAGE, buildDemoCluster } from './demo/demo-cluster.ts'
export { kubeconfigFor } from './demo/demo-user.ts'
export { joinCluster } from './demo/join-cluster.ts'
export { createKubectl, type Kubectl } from './demo/kubectl.ts'
export { shippedAgentCommand, shippedAgentProcess } from './footprint/shipped-agent.ts'
export {
  bundleParts,
  type ShippedService,
  shippedSettings,
  startShipped,
} from './footprint/shipped-services.ts'
export { signInAdministrator } from './platform/administrator.ts'
export { type ApiClient, ApiError } from './platform/api-client.ts'
export { SERVICES, type ServiceName } from './platform/environment.ts'
export { memoryOfTree, residentMemory } from './platform/memory.ts'
export { findPort } from './platform/ports.ts'
export type { SecretFiles } from './platform/secrets.ts'
export { type Servers, startServers } from './platform/start-servers.ts'
export { printedSteps, type Step, untilAllEnd } from './platform/step.ts'
export { optionsOf, partsOf, UsageError } from './program/command-options.ts'
export type { Interruption } from './program/interruption.ts'
export { runProgram } from './program/run-program.ts'
export { type BackgroundKubectl, startKubectl } from './story/background-kubectl.ts'
export { type Cli, createCli } from './story/cli.ts'
export {
  type ClusterAuditEvent,
  isAgentsOwnWork,
  isByAccount,
  isByAgent,
  readClusterAuditLog,
} from './story/cluster-audit-log.ts'
export { withDatabase } from './story/database.ts'
export { eventually } from './story/expect.ts'
export {
  type KubectlExercise,
  kubectl,
  normalized,
  outcome,
  type Way,
} from './story/kubectl/exercise.ts'
export { kubectlExercises } from './story/kubectl/kubectl-exercises.ts'
export { exercisePods } from './story/kubectl/pod-exercises.ts'
export { annotation, type PosternRecord, readRecords } from './story/postern-records.ts'
export { replayDecisions } from './story/replay-decisions.ts'
export { story } from './story/story.ts'
export type { StoryStep } from './story/story-step.ts'
export { createWorld, type World } from './story/world.ts'
