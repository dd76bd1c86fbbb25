import { collectDefaultMetrics, Registry } from 'prom-client'

/** A service's own Prometheus registry. Each metric is declared once, in its `signals.ts`. */
export type Metrics = Registry

/** `ofProcess` adds CPU, memory and event loop; several services in one process need it once. */
export function createMetrics(service: string, options: { ofProcess?: boolean } = {}): Metrics {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  if (options.ofProcess === true) collectDefaultMetrics({ register: registry })
  return registry
}
