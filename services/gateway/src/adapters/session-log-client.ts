import { followLog, holdLease } from '@postern/eventing'
import { EventLogServiceDefinition } from '@postern/proto/postern/eventlog/v1/event_log'
import type { RpcClients } from '@postern/rpc'
import type { Log } from '@postern/telemetry'
import { sessionCodec, toSessionFact } from '../session/session-codec.ts'
import type { SessionFact } from '../session/session-directory.ts'

/** Follows the session service's log under a lease, so that a session that ended is known as such. */
export function followSessions(needs: {
  clients: RpcClients
  log: Log
  leaseClock: () => number
  apply(fact: SessionFact): void
  reset(): void
  onLease(): void
}) {
  const { clients, log } = needs
  const paths = clients.paths(EventLogServiceDefinition, 'session')
  const common = { service: 'session', paths, log }
  const follower = followLog({
    ...common,
    codec: sessionCodec,
    onEvents: (events) => {
      for (const { event } of events) needs.apply(toSessionFact(event))
    },
    onReset: () => needs.reset(),
  })
  const lease = holdLease({ ...common, follower, now: needs.leaseClock })
  lease.onLost(() => needs.onLease())
  lease.onRegained(() => needs.onLease())
  return {
    leaseValid: (atMs: number) => lease.valid(atMs),
    get caughtUp() {
      return follower.caughtUp
    },
    stop() {
      lease.stop()
      follower.stop()
    },
  }
}
