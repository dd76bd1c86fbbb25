export { type ClosingStack, createClosingStack, withDeadline } from './closing-stack.ts'
export {
  createHealthServer,
  type HealthServer,
  type HealthServerNeeds,
  parseHostPort,
  type Readiness,
} from './health-server.ts'
export { type Step, startInOrder } from './start-in-order.ts'
export { stopOnSignal } from './stop-on-signal.ts'
