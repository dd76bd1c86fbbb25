import type { Registry } from 'prom-client'

/** A service's own Prometheus registry. Each metric is declared once, in its `signals.ts`. */
export type Metrics = Registry
