export type { Composed, Runtime, ServiceDefinition } from './definition.ts'
