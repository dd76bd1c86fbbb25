import { histogramIn, type Metrics } from '@postern/telemetry'

export type AuditSignals = ReturnType<typeof auditSignals>

export function auditSignals(metrics: Metrics) {
  return {
    /** Its count is the number of batches, its sum the time spent writing. */
    batchSeconds: histogramIn<'outcome'>(metrics, {
      name: 'postern_audit_batch_seconds',
      help: 'Seconds that writing a batch of audit records took',
      labelNames: ['outcome'],
      buckets: [0.002, 0.005, 0.02, 0.1, 0.5, 2, 10],
    }),
    /** Its sum is the number of records delivered. */
    batchRecords: histogramIn<never>(metrics, {
      name: 'postern_audit_batch_records',
      help: 'Audit records in a batch',
      buckets: [1, 10, 100, 1000],
    }),
    /** How far the stream for SIEMs is behind the log. */
    streamLagRecords: histogramIn<never>(metrics, {
      name: 'postern_audit_stream_lag_records',
      help: 'Audit records that were not in the stream yet when its publisher looked',
      buckets: [0, 10, 100, 1000, 10_000, 100_000],
    }),
  }
}
