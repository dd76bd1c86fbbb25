import { histogramIn, type Metrics } from '@postern/telemetry'

/** How long RPCs take, by RPC and code. Two servers of one service share it. */
export function rpcServerSeconds(metrics: Metrics) {
  return histogramIn<'rpc' | 'code'>(metrics, {
    name: 'postern_rpc_server_seconds',
    help: 'Seconds that served RPCs took',
    labelNames: ['rpc', 'code'],
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
  })
}
