import type { Log } from '@postern/telemetry'
import type { NatsConnection } from 'nats'

export type JetStreamNeeds = {
  /** @throws BusUnavailableError */
  readonly available: () => NatsConnection
  readonly onConnect: (listener: () => void) => () => void
  readonly log: Log
  readonly closed: AbortSignal
}
