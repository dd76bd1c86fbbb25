import type { DomainEvent } from '@postern/eventing'
import type { ServiceDefinition } from './definition.ts'

/** Says what a service is; types follow from its settings, codec and projections. */
export function defineService<Config, Database, Event extends DomainEvent>(
  definition: ServiceDefinition<Config, Database, Event>,
): ServiceDefinition<Config, Database, Event> {
  return definition
}
