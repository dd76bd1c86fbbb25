import { setTimeout } from 'node:timers/promises'
import type {
  FollowEventsRequest,
  FollowEventsResponse,
  HoldLeaseRequest,
  HoldLeaseResponse,
  RecordedEvent,
} from '@postern/proto/postern/eventlog/v1/event_log'
import type { RpcClients } from '@postern/rpc'
import { type IdentityEvent, identityCodec } from './identity-codec.ts'
import { type PolicyEvent, policyCodec } from './policy-codec.ts'
import type { ReplicatedLog } from './replica.ts'
import { type TunnelBrokerEvent, tunnelBrokerCodec } from './tunnel-broker-codec.ts'

const codecs = { identity: identityCodec, policy: policyCodec, 'tunnel-broker': tunnelBrokerCodec }

export type EventOf = {
  identity: IdentityEvent
  policy: PolicyEvent
  'tunnel-broker': TunnelBrokerEvent
}

/** The three logs in memory, served to a replica as their owners would. */
export type MemoryLogs = {
  readonly clients: RpcClients
  append<Service extends ReplicatedLog>(service: Service, ...events: EventOf[Service][]): void
  /** An event as it lies in the log, of a type that nobody needs to know. */
  appendEncoded(service: ReplicatedLog, type: string, data: Uint8Array): void
  /** The log is another one from now on, as after it was restored from a backup. */
  restore(service: ReplicatedLog, keep: number): void
  /** Whether its owner answers. */
  setReachable(service: ReplicatedLog, reachable: boolean): void
  /** The owner answers no page beyond this position, as if it were slow. */
  stopAt(service: ReplicatedLog, pos: bigint | undefined): void
}

const LOOK_MS = 5

type MemoryLog = {
  epoch: number
  events: RecordedEvent[]
  reachable: boolean
  stopAt: bigint | undefined
}

export function createMemoryLogs(at: () => Date = () => new Date()): MemoryLogs {
  const empty = (): MemoryLog => ({ epoch: 1, events: [], reachable: true, stopAt: undefined })
  const logs = { identity: empty(), policy: empty(), 'tunnel-broker': empty() }
  const appendEncoded = (service: ReplicatedLog, type: string, data: Uint8Array) => {
    const { events } = logs[service]
    events.push({
      pos: BigInt(events.length + 1),
      id: `${service}-${logs[service].epoch}-${events.length + 1}`,
      stream: 'any-stream',
      ver: 1n,
      type,
      schemaVer: 1,
      data: Buffer.from(data),
      at: at().toISOString(),
      meta: { actor: 'system', cause: 'test', traceparent: '' },
    })
  }
  const reached = (service: ReplicatedLog) => {
    const log = logs[service]
    if (!log.reachable) throw new Error('the owner of the log cannot be reached')
    return { log, epoch: `epoch-${log.epoch}`, head: BigInt(log.events.length) }
  }
  const clientOf = (service: ReplicatedLog) => ({
    async *followEvents(
      { after }: FollowEventsRequest,
      { signal }: { signal: AbortSignal },
    ): AsyncGenerator<FollowEventsResponse> {
      for (let pos = Number(after); !signal.aborted; ) {
        const { log, epoch, head } = reached(service)
        if (log.stopAt !== undefined && pos >= log.stopAt) throw new Error('too slow')
        // Short runs, so that a log is never read at once.
        const events = log.events.slice(pos, pos + 3)
        yield { epoch, head, afterId: log.events[pos - 1]?.id ?? '', events }
        pos += events.length
        if (BigInt(pos) >= head) await setTimeout(LOOK_MS)
      }
    },
    async *holdLease(requests: AsyncIterable<HoldLeaseRequest>): AsyncGenerator<HoldLeaseResponse> {
      for await (const request of requests) {
        const { epoch, head } = reached(service)
        const granted = request.epoch === epoch && request.applied === head
        yield { epoch, head, granted, nonce: request.nonce }
      }
    },
  })
  return {
    clients: {
      paths: ((_: unknown, service: ReplicatedLog) => [
        clientOf(service),
      ]) as unknown as RpcClients['paths'],
      close: () => undefined,
    } as RpcClients,
    append(service, ...events) {
      for (const event of events) {
        const codec = codecs[service] as {
          encode(event: unknown): { type: string; data: Uint8Array }
        }
        const { type, data } = codec.encode(event)
        appendEncoded(service, type, data)
      }
    },
    appendEncoded,
    restore(service, keep) {
      const log = logs[service]
      log.epoch += 1
      log.events.splice(keep)
    },
    setReachable(service, reachable) {
      logs[service].reachable = reachable
    },
    stopAt(service, pos) {
      logs[service].stopAt = pos
    },
  }
}
