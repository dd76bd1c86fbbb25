import { defineService } from '@postern/service'
import { composeSession } from './compose.ts'
import { type SessionConfig, sessionSettings } from './config.ts'
import type { SessionDatabase } from './database.ts'
import { sessions } from './migrations/0001-sessions.ts'
import { sessionsByPosition } from './migrations/0002-sessions-by-position.ts'
import type { SessionEvent } from './session/session.ts'
import { sessionCodec } from './session/session-codec.ts'
import { sessionsProjection } from './session/sessions-projection.ts'

/** Who uses which cluster now, and which account must exist there for it. */
export const sessionService = defineService<SessionConfig, SessionDatabase, SessionEvent>({
  name: 'session',
  settings: sessionSettings,
  log: {
    codec: sessionCodec,
    projections: [sessionsProjection],
    migrations: { '0001-sessions': sessions, '0002-sessions-by-position': sessionsByPosition },
  },
  compose: composeSession,
})
