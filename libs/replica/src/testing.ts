import type { Bus } from '@postern/bus'
import type {
  ReadEventsRequest,
  ReadEventsResponse,
  RecordedEvent,
  RenewLeaseRequest,
  RenewLeaseResponse,
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
  /** A bus that is never there: pulling alone must suffice. */
  readonly bus: Bus
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
      id: `${service}-${events.length + 1}`,
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
    async readEvents({ after, limit }: ReadEventsRequest): Promise<ReadEventsResponse> {
      const { log, epoch, head } = reached(service)
      if (log.stopAt !== undefined && after >= log.stopAt) throw new Error('too slow')
      // Small pages, so that a log is never read at once.
      const to = Number(after) + Math.min(limit, 3)
      return { epoch, head, events: log.events.slice(Number(after), to) }
    },
    async renewLease(request: RenewLeaseRequest): Promise<RenewLeaseResponse> {
      const { epoch, head } = reached(service)
      const granted = request.epoch === epoch && request.applied === head
      return { epoch, head, granted, nonce: request.nonce }
    },
  })
  return {
    clients: {
      of: ((_: unknown, service: ReplicatedLog) =>
        clientOf(service)) as unknown as RpcClients['of'],
      close: () => undefined,
    } as RpcClients,
    bus: {
      publishCore: () => undefined,
      subscribeCore: () => () => undefined,
      request: async () => await Promise.reject(new Error('no bus')),
      stream: () => ({
        ensure: async () => undefined,
        lastSeq: async () => 0n,
        publish: async () => undefined,
        follow: () => () => undefined,
      }),
      connected: false,
      problem: 'there is none',
      onConnect: () => () => undefined,
      close: async () => undefined,
    } as unknown as Bus,
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
