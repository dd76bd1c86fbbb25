import { counterIn, gaugeIn, histogramIn, type Metrics } from '@postern/telemetry'

/** What is looked at when the metrics are read. */
export type Gauges = {
  readonly streams: () => number
  readonly running: () => number
  readonly connections: () => number
  readonly spool: () => { readonly bytes: number; readonly unshipped: number }
}

export type GatewaySignals = ReturnType<typeof gatewaySignals>

export function gatewaySignals(metrics: Metrics) {
  return {
    requests: requestCounts(metrics),
    admissionSeconds: histogramIn<never>(metrics, {
      name: 'postern_gateway_admission_seconds',
      help: 'Seconds from the head of a request to the decision about it',
      buckets: [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.1],
    }),
    intentSeconds: histogramIn<never>(metrics, {
      name: 'postern_gateway_intent_seconds',
      help: 'Seconds until an audit intent was durable',
      buckets: [0.0005, 0.001, 0.003, 0.01, 0.03, 0.1, 1],
    }),
    sessionSeconds: histogramIn<'outcome'>(metrics, {
      name: 'postern_gateway_session_seconds',
      help: 'Seconds until a session that was not at hand was open',
      labelNames: ['outcome'],
      buckets: [0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 10],
    }),
    cuts: counterIn<'code'>(metrics, {
      name: 'postern_gateway_streams_cut_total',
      help: 'Running requests that were ended because their right had ended',
      labelNames: ['code'],
    }),
    recordsLost: counterIn<never>(metrics, {
      name: 'postern_gateway_audit_records_lost_total',
      help: 'Audit records of denials and outcomes that could not be written',
    }),
    malformed: counterIn<never>(metrics, {
      name: 'postern_gateway_malformed_requests_total',
      help: 'Connections and streams that no request could be read from',
    }),
    observe({ streams, running, connections, spool }: Gauges): void {
      const gauges = {
        postern_gateway_streams: ['Long-running requests that are open', streams],
        postern_gateway_requests_running: ['Requests that run', running],
        postern_gateway_connections: ['Connections of clients', connections],
        postern_gateway_spool_bytes: ['Bytes that the audit spool holds', () => spool().bytes],
        postern_gateway_spool_records: ['Audit records not yet stored', () => spool().unshipped],
      } as const
      for (const [name, [help, read]] of Object.entries(gauges)) {
        gaugeIn<never>(metrics, {
          name,
          help,
          collect() {
            this.set(read())
          },
        })
      }
    },
  }
}

/** Counted here, and told to the registry when it is read: finding a counter by its labels costs more. */
function requestCounts(metrics: Metrics) {
  const uncounted = new Map<string, Map<number, number>>()
  counterIn<'verb' | 'code'>(metrics, {
    name: 'postern_gateway_requests_total',
    help: 'Requests by class of verb and status code',
    labelNames: ['verb', 'code'],
    collect() {
      for (const [verb, codes] of uncounted) {
        for (const [code, requests] of codes) this.inc({ verb, code: String(code) }, requests)
      }
      uncounted.clear()
    },
  })
  return {
    add(verb: string, code: number): void {
      const codes = uncounted.get(verb) ?? new Map<number, number>()
      if (codes.size === 0) uncounted.set(verb, codes)
      codes.set(code, (codes.get(code) ?? 0) + 1)
    },
  }
}

const READS = new Set(['get', 'list'])
const WRITES = new Set(['create', 'update', 'patch', 'delete', 'deletecollection'])
const STREAMS = new Set(['exec', 'attach', 'portforward', 'log', 'proxy'])

/** A few classes instead of whatever a client may send. */
export function verbClass(info: { verb: string; subresource: string } | undefined): string {
  if (info === undefined) return 'unknown'
  if (STREAMS.has(info.subresource)) return info.subresource
  if (info.verb === 'watch') return 'watch'
  if (READS.has(info.verb)) return 'read'
  return WRITES.has(info.verb) ? 'write' : 'other'
}
