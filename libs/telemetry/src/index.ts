export { createLog, LOG_LEVELS, type Log, type LogLevel } from './log.ts'
export { counterIn, createMetrics, gaugeIn, histogramIn, type Metrics } from './metrics.ts'
export {
  currentTrace,
  currentTraceparent,
  type SpanOptions,
  startSpan,
  withSpan,
} from './span.ts'
export { flushTelemetry, startTelemetry } from './start-telemetry.ts'
export { parseTraceparent, type TraceContext, toTraceparent } from './trace-context.ts'
