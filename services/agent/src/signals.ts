import type { Metrics } from '@postern/telemetry'
import { counterIn, gaugeIn } from '@postern/telemetry'

export type AgentSignals = ReturnType<typeof createAgentSignals>

export function createAgentSignals(metrics: Metrics) {
  return {
    requests: counterIn(metrics, {
      name: 'postern_agent_requests_total',
      help: 'Requests carried to kube-apiserver',
    }),
    upgrades: counterIn(metrics, {
      name: 'postern_agent_upgrades_total',
      help: 'Upgraded connections carried to kube-apiserver',
    }),
    refused: counterIn(metrics, {
      name: 'postern_agent_refused_total',
      help: 'Requests answered here and not carried, by reason',
      labelNames: ['reason'],
    }),
    responseBytes: counterIn(metrics, {
      name: 'postern_agent_response_bytes_total',
      help: 'Bytes of response bodies of plain requests',
    }),
    ordersRefused: counterIn(metrics, {
      name: 'postern_agent_orders_refused_total',
      help: 'Account orders that were not what the session service signed for this cluster',
      labelNames: ['reason'],
    }),
    /** Counted when they are asked for. */
    observe(observed: { accounts(): number; streams(): number; connections(): number }): void {
      const counted = (name: keyof typeof observed, help: string) =>
        gaugeIn(metrics, {
          name: `postern_agent_${name}`,
          help,
          collect() {
            this.set(observed[name]())
          },
        })
      counted('accounts', 'Sessions whose account is known')
      counted('streams', 'Requests and upgrades under way')
      counted('connections', 'Pooled connections to kube-apiserver')
    },
  }
}
