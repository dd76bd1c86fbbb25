import { counterIn, createMetrics, gaugeIn, type Metrics } from '@postern/telemetry'

export type Signals = ReturnType<typeof createSignals>

/** Every metric of a service's log. The lag of anything is the head minus where it stands. */
export function createSignals(service: string, metrics: Metrics = createMetrics(service)) {
  return {
    appended: counterIn(metrics, {
      name: 'postern_log_appends_total',
      help: 'Commands that wrote events to the log',
    }),
    conflicts: counterIn(metrics, {
      name: 'postern_log_conflicts_total',
      help: 'Appends that another writer was ahead of, and that were decided again',
    }),
    head: gaugeIn(metrics, {
      name: 'postern_log_head',
      help: 'Position of the last event of the log',
    }),
    published: gaugeIn(metrics, {
      name: 'postern_log_published',
      help: 'Position of the last event that the stream on the bus holds, where this process publishes',
    }),
    handled: gaugeIn<'process_manager'>(metrics, {
      name: 'postern_log_handled',
      help: 'Position of the last event that a process manager handled, where this process runs it',
      labelNames: ['process_manager'],
    }),
  }
}
