import { type EventCodec, eventCodec } from '@postern/eventing'
import {
  AccountDesired,
  AccountFailed,
  AccountProvisioned,
  AccountRemoved,
  SessionEnded,
  SessionOpened,
} from '@postern/proto/postern/session/events/v1/events'
import type { SessionEvent } from './session.ts'

/** Between a session's events and their messages. */
export const sessionCodec: EventCodec<SessionEvent> = eventCodec('postern.session.events.v1', {
  AccountDesired,
  AccountFailed,
  AccountProvisioned,
  AccountRemoved,
  SessionEnded,
  SessionOpened,
})
