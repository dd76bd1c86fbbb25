import type { Metrics } from '@postern/telemetry'
import { Counter, Gauge } from 'prom-client'

/** Why the relay turned something away. */
type RefusalCause =
  | 'strangers'
  | 'first-bytes'
  | 'route'
  | 'number'
  | 'splices'
  | 'upstream'
  | 'handshake'
  | 'peer'
  | 'control-connections'
  | 'protocol'
  | 'agents'
  | 'pairs'

/** What a splice is for: a pair of gateway and agent, or an agent's way to a service. */
export type SpliceKind = 'pair' | 'tunnel-broker' | 'session' | 'join'

export type RelaySignals = {
  refused(cause: RefusalCause): void
  spliced(kind: SpliceKind): void
  /** Bytes of a splice: `up` from the one who dialled the relay as a client of the other. */
  carried(kind: SpliceKind, direction: 'up' | 'down', bytes: number): void
  /** What is counted when it is asked for. */
  observe(observed: Observed): void
}

type Observed = {
  readonly parkedAgents?: () => number
  readonly control?: () => number
  readonly strangers?: () => number
  readonly splices?: () => number
  readonly pairsWaiting?: () => number
  /** Hands over what was carried since it was last asked. */
  readonly count?: () => void
}

export function createRelaySignals(metrics: Metrics): RelaySignals {
  const registers = [metrics]
  const observed: Observed[] = []
  const refusals = new Counter({
    name: 'postern_relay_refusals_total',
    help: 'Connections and requests that were turned away, by cause',
    labelNames: ['cause'],
    registers,
  })
  const splices = new Counter({
    name: 'postern_relay_splices_total',
    help: 'Connections that were joined, by kind',
    labelNames: ['kind'],
    registers,
  })
  const bytes = new Counter({
    name: 'postern_relay_bytes_total',
    help: 'Bytes carried, by kind; up: towards the gateway or the service, down: towards the agent',
    labelNames: ['kind', 'direction'],
    registers,
    collect: () => {
      for (const { count } of observed) count?.()
    },
  })
  const gauge = (name: Exclude<keyof Observed, 'count'>, metric: string, help: string) =>
    new Gauge({
      name: `postern_relay_${metric}`,
      help,
      registers,
      collect() {
        this.set(observed.reduce((sum, one) => sum + (one[name]?.() ?? 0), 0))
      },
    })
  gauge('parkedAgents', 'parked_agents', 'Agents that can be dialled')
  gauge('control', 'control_connections', 'Control connections of agents and gateways')
  gauge('strangers', 'strangers', 'Connections that have not said what they want')
  gauge('splices', 'splices', 'Connections joined now')
  gauge('pairsWaiting', 'pairs_waiting', 'Numbers given out and not used')

  return {
    refused: (cause) => refusals.inc({ cause }),
    spliced: (kind) => splices.inc({ kind }),
    carried: (kind, direction, count) => bytes.inc({ kind, direction }, count),
    observe: (more) => void observed.push(more),
  }
}
