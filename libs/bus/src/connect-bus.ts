import { messageOf } from '@postern/errors'
import { gaugeIn, type Log, type Metrics } from '@postern/telemetry'
import { connect, type NatsConnection } from 'nats'
import { type Bus, BusUnavailableError } from './bus.ts'
import { type BusAddress, connectionSettings } from './connection-settings.ts'
import { createJetStream } from './jet-stream.ts'
import { pause } from './pause.ts'
import { serverProblem } from './server-version.ts'

export type BusOptions = BusAddress & {
  readonly log: Log
  readonly metrics?: Metrics
}

const RETRY_MS_FIRST = 250
const RETRY_MS_MAX = 5000
/** An operator has to act first, so there is no hurry. */
const RETRY_MS_UNSUITABLE = 15_000

/**
 * Answers at once and never throws for want of a server: it connects, and reconnects, for ever.
 * A server older than 2.12 or without JetStream is refused; `problem` and the log say so.
 */
export function connectBus(options: BusOptions): Bus {
  const log = options.log.child({ component: 'bus' })
  const settings = connectionSettings(options)
  const closing = new AbortController()
  const listeners = new Set<() => void>()
  const setGauge = connectedGauge(options.metrics)
  let connection: NatsConnection | undefined
  let problem: string | undefined = 'not connected yet'

  const available = (): NatsConnection => {
    if (connection === undefined || problem !== undefined) {
      throw new BusUnavailableError(`the bus is not connected: ${problem ?? 'connecting'}`)
    }
    return connection
  }
  const setProblem = (text: string): void => {
    if (problem !== text) log.warn({ problem: text }, 'the bus is not connected')
    problem = text
    setGauge(0)
  }
  const setConnected = (nc: NatsConnection): boolean => {
    const unsuitable = serverProblem(nc.info)
    if (unsuitable !== undefined) {
      problem = unsuitable
      log.error({ server: nc.getServer(), problem }, 'the bus refuses this nats-server')
      return false
    }
    problem = undefined
    setGauge(1)
    log.info({ server: nc.getServer(), version: nc.info?.version }, 'the bus is connected')
    for (const listener of listeners) listener()
    return true
  }

  /** Lives as long as one client, which itself survives losses of its socket. */
  const serve = async (nc: NatsConnection): Promise<'lost' | 'unsuitable'> => {
    connection = nc
    let end: 'lost' | 'unsuitable' = 'lost'
    const refuse = async () => {
      end = 'unsuitable'
      await nc.close()
    }
    const watch = (async () => {
      for await (const status of nc.status()) {
        if (status.type === 'disconnect') setProblem('the connection to nats-server was lost')
        if (status.type === 'staleConnection') setProblem('nats-server does not answer pings')
        if (status.type === 'error') {
          log.warn({ error: status.error.message }, 'nats-server reports an error')
        }
        if (status.type === 'reconnect' && !setConnected(nc)) await refuse()
      }
    })()
    if (closing.signal.aborted || !setConnected(nc)) await refuse()
    const error = await nc.closed()
    connection = undefined
    if (end === 'lost') setProblem(error?.message ?? 'the connection was closed')
    await watch
    return end
  }

  const run = async (): Promise<void> => {
    let retryMs = RETRY_MS_FIRST
    while (!closing.signal.aborted) {
      try {
        const end = await serve(await connect(settings))
        retryMs = end === 'unsuitable' ? RETRY_MS_UNSUITABLE : RETRY_MS_FIRST
      } catch (error) {
        setProblem(`nats-server cannot be reached: ${messageOf(error)}`)
        retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)
      }
      await pause(retryMs, closing.signal)
    }
  }
  const running = run()

  return {
    publishCore(subject, data) {
      if (connection === undefined || problem !== undefined) return
      try {
        connection.publish(subject, data)
      } catch (error) {
        log.debug({ subject, error: messageOf(error) }, 'a core message was dropped')
      }
    },
    stream: createJetStream({ available, log }),
    get connected() {
      return problem === undefined
    },
    get problem() {
      return problem
    },
    onConnect(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async close() {
      closing.abort()
      problem = 'closed'
      await connection?.close()
      await running
    },
  }
}

function connectedGauge(metrics: Metrics | undefined): (value: 0 | 1) => void {
  if (metrics === undefined) return () => undefined
  const gauge = gaugeIn(metrics, {
    name: 'postern_bus_connected',
    help: 'Whether the message bus is connected (1) or not (0)',
  })
  return (value) => gauge.set(value)
}
