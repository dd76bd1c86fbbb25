import type { CompatServiceDefinition, ServiceImplementation } from 'nice-grpc'
import type { Call } from './call.ts'

/** A proto service with its handlers, for a server to serve. */
export type RpcRegistration = {
  readonly definition: CompatServiceDefinition
  readonly handlers: object
}

/** Handlers get their request and `{ call }`: who calls, for whom. Access was checked before. */
export function register<Definition extends CompatServiceDefinition>(
  definition: Definition,
  handlers: ServiceImplementation<Definition, { call: Call }>,
): RpcRegistration {
  return { definition, handlers }
}
