import { monitorEventLoopDelay } from 'node:perf_hooks'
import { collectDefaultMetrics, Gauge, type Registry } from 'prom-client'

/** As seldom as a timer can be. */
const NEVER_MS = 2 ** 31 - 1

type Delays = ReturnType<typeof monitorEventLoopDelay>

const MEASURES: readonly (readonly [string, (late: Delays) => number])[] = [
  ['min', (late) => late.min],
  ['max', (late) => late.max],
  ['mean', (late) => late.mean],
  ['stddev', (late) => late.stddev],
  ['p50', (late) => late.percentile(50)],
  ['p90', (late) => late.percentile(90)],
  ['p99', (late) => late.percentile(99)],
]

/**
 * CPU, memory, garbage, and how long the turns of the event loop took since that was last asked for. Each
 * turn measures itself: the timer that prom-client has for it wakes an idle process a hundred times a second.
 */
export function collectProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: NEVER_MS })
  const late = monitorEventLoopDelay({ samplePerIteration: true })
  late.enable()
  const gauges = MEASURES.map(([measure, nanosecondsOf], at) => {
    const name = `nodejs_eventloop_lag_${measure}_seconds`
    const help = `Of the time that turns of the event loop took: ${measure}`
    registry.removeSingleMetric(name)
    // They are asked in order: the first reads for all of them, at one moment.
    const collect = at === 0 ? { collect: read } : {}
    return { gauge: new Gauge({ name, help, registers: [registry], ...collect }), nanosecondsOf }
  })
  function read(): void {
    const hasTurns = late.count > 0
    for (const { gauge, nanosecondsOf } of gauges)
      gauge.set(hasTurns ? nanosecondsOf(late) / 1e9 : 0)
    late.reset()
  }
}
