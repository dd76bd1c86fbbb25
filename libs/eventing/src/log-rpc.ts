import type { Bus } from '@postern/bus'
import { rejections } from '@postern/errors'
import {
  EventLogServiceDefinition,
  RenewLeaseRequest,
  RenewLeaseResponse,
} from '@postern/proto/postern/eventlog/v1/event_log'
import { type RpcRegistration, register } from '@postern/rpc'
import type { Log } from '@postern/telemetry'
import type { Executor } from './database.ts'
import { type Head, readHead, readLog } from './log-table.ts'
import { namesOf } from './names.ts'
import { messageOf } from './pause.ts'
import { shareReads } from './share-reads.ts'
import { toRecordedEvent } from './wire.ts'

const LIMIT_DEFAULT = 500
const LIMIT_MAX = 1000
const REQUEST_BYTES_MAX = 1024

const rejected = rejections({
  LIMIT_OUT_OF_RANGE: ['invalid_argument', 'a page of the log has 1 to 1000 events'],
})

/** Serves the log to readers, and answers their leases by gRPC and on the bus. */
export function serveLog({ db, service, log }: { db: Executor; service: string; log: Log }): {
  readonly registration: RpcRegistration
  /** Answers a function that ends it. */
  readonly answerOnBus: (bus: Bus) => () => void
} {
  // Never remembered: a head that is older than the request could hide a revocation.
  const freshHead = shareReads(async () => await readHead(db))

  const renew = async (request: RenewLeaseRequest): Promise<RenewLeaseResponse> => {
    const { pos: head, epoch } = await freshHead()
    return { epoch, head, granted: isUpToDate(request, { pos: head, epoch }), nonce: request.nonce }
  }

  const registration = register(EventLogServiceDefinition, {
    async readEvents({ after, limit }) {
      if (limit > LIMIT_MAX) throw rejected('LIMIT_OUT_OF_RANGE')
      const { head, events } = await readLog(db, after, limit === 0 ? LIMIT_DEFAULT : limit)
      return { epoch: head.epoch, head: head.pos, events: events.map(toRecordedEvent) }
    },
    renewLease: renew,
  })

  const answerOnBus = (bus: Bus) =>
    bus.subscribeCore(namesOf(service).lease, (data, reply) => {
      if (reply === undefined || data.length > REQUEST_BYTES_MAX) return
      // No answer is a lease not granted, so a failure needs no other words than the log's.
      answer(data).then(reply, (error: unknown) => {
        log.debug({ error: messageOf(error) }, 'a lease was not answered')
      })
    })

  const answer = async (data: Uint8Array): Promise<Uint8Array> =>
    RenewLeaseResponse.encode(await renew(RenewLeaseRequest.decode(data))).finish()

  return { registration, answerOnBus }
}

function isUpToDate(reader: { epoch: string; applied: bigint }, head: Head): boolean {
  return reader.epoch === head.epoch && reader.applied === head.pos
}
