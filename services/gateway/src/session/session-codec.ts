import { eventCodec } from '@postern/eventing'
import {
  AccountDesired,
  AccountProvisioned,
  EndReason,
  SessionEnded,
  SessionOpened,
} from '@postern/proto/postern/session/events/v1/events'
import type { SessionFact } from './session-directory.ts'

/** Of the session service's log, what a gateway wants to know. */
export const sessionCodec = eventCodec('postern.session.events.v1', {
  AccountDesired,
  AccountProvisioned,
  SessionEnded,
  SessionOpened,
})

type SessionLogEvent = NonNullable<ReturnType<typeof sessionCodec.decode>>

export function toSessionFact(event: SessionLogEvent): SessionFact {
  switch (event.type) {
    case 'SessionOpened': {
      const { sessionId: id, userId, clusterId, account, expiresAt } = event
      // A moment that cannot be read counts as past.
      const expiresAtMs = Date.parse(expiresAt) || 0
      return { type: 'Opened', session: { id, userId, clusterId, account, expiresAtMs } }
    }
    case 'AccountDesired':
      return { type: 'AccountDesired', sessionId: event.sessionId, version: event.version }
    case 'AccountProvisioned':
      return { type: 'AccountProvisioned', sessionId: event.sessionId, version: event.version }
    case 'SessionEnded':
      return { type: 'Ended', sessionId: event.sessionId, reason: REASONS[event.reason] ?? ENDED }
  }
}

const ENDED = 'it was ended'
const REASONS: Readonly<Partial<Record<EndReason, string>>> = {
  [EndReason.END_REASON_IDLE]: 'it was not used for too long',
  [EndReason.END_REASON_EXPIRED]: 'its time was over',
  [EndReason.END_REASON_LOGOUT]: 'you signed out',
  [EndReason.END_REASON_REVOKED]: 'an administrator ended it',
  [EndReason.END_REASON_GRANT_ENDED]: 'no grant gives you anything on the cluster any more',
  [EndReason.END_REASON_USER_DISABLED]: 'your user was disabled',
  [EndReason.END_REASON_CLUSTER_REMOVED]: 'the cluster was removed',
}
