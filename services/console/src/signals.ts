import { histogramIn, type Metrics } from '@postern/telemetry'

export type ConsoleSignals = ReturnType<typeof consoleSignals>

export function consoleSignals(metrics: Metrics) {
  return {
    requestSeconds: histogramIn<'route' | 'code'>(metrics, {
      name: 'postern_console_request_seconds',
      help: 'Seconds until a request to the public API was answered',
      labelNames: ['route', 'code'],
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    }),
  }
}
