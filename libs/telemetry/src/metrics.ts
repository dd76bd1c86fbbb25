import {
  Counter,
  type CounterConfiguration,
  Gauge,
  type GaugeConfiguration,
  Histogram,
  type HistogramConfiguration,
  Registry,
} from 'prom-client'
import { collectProcessMetrics } from './process-metrics.ts'

/** A service's own Prometheus registry. Each metric is declared once, in its `signals.ts`. */
export type Metrics = Registry

/** `ofProcess` adds CPU, memory and event loop; several services in one process need it once. */
export function createMetrics(service: string, options: { ofProcess?: boolean } = {}): Metrics {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  if (options.ofProcess === true) collectProcessMetrics(registry)
  return registry
}

/** The registry's histogram of that name; made when it is not there yet. */
export function histogramIn<Label extends string>(
  metrics: Metrics,
  configuration: HistogramConfiguration<Label>,
): Histogram<Label> {
  const existing = metrics.getSingleMetric(configuration.name)
  if (existing instanceof Histogram) return existing
  return new Histogram({ ...configuration, registers: [metrics] })
}

/** The registry's counter of that name; made when it is not there yet. */
export function counterIn<Label extends string>(
  metrics: Metrics,
  configuration: CounterConfiguration<Label>,
): Counter<Label> {
  const existing = metrics.getSingleMetric(configuration.name)
  if (existing instanceof Counter) return existing
  return new Counter({ ...configuration, registers: [metrics] })
}

/** The registry's gauge of that name; made when it is not there yet. */
export function gaugeIn<Label extends string>(
  metrics: Metrics,
  configuration: GaugeConfiguration<Label>,
): Gauge<Label> {
  const existing = metrics.getSingleMetric(configuration.name)
  if (existing instanceof Gauge) return existing
  return new Gauge({ ...configuration, registers: [metrics] })
}
