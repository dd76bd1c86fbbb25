import { randomBytes } from 'node:crypto'
import { createReplica } from '@postern/replica'
import { defineService } from '@postern/service'
import type { z } from 'zod'
import { createAgentSessionRpc } from './account-order/agent-session-rpc.ts'
import { createReplicaAccess } from './adapters/replica-access.ts'
import { settings } from './config.ts'
import type { SessionDatabase } from './database.ts'
import * as sessionsMigration from './migrations/0001-sessions.ts'
import { createRepeated } from './repeated.ts'
import { createActivityStore } from './session/activity.ts'
import { createKeepSessions } from './session/keep-sessions.ts'
import { createOpenSession } from './session/open-session.ts'
import type { SessionEvent } from './session/session.ts'
import { sessionCodec } from './session/session-codec.ts'
import { createSessionRepository } from './session/session-repository.ts'
import { createSessionRpc } from './session/session-rpc.ts'
import { sessionsProjection } from './session/sessions-projection.ts'

const KEEP_EVERY_MS = 1000

export const sessionService = defineService<
  z.output<typeof settings>,
  SessionDatabase,
  SessionEvent
>({
  name: 'session',
  settings,
  log: {
    codec: sessionCodec,
    projections: [sessionsProjection],
    migrations: { '0001-sessions': sessionsMigration },
  },

  async compose({ config, db, store, bus, identity, clients, log, now }) {
    const replica = createReplica({ clients, bus, log, now, leases: false })
    const access = createReplicaAccess(replica)
    const sessions = createSessionRepository({ db, store })
    const activity = createActivityStore({ db })
    const openSession = createOpenSession({
      sessions,
      access,
      now,
      random: randomBytes,
      lifetimeSeconds: config.lifetimeSeconds,
      waitMs: config.accountWaitSeconds * 1000,
    })
    const keepSessions = createRepeated({
      work: createKeepSessions({
        sessions,
        activity,
        access,
        now,
        idleSecondsMax: config.idleSeconds,
        log,
      }),
      everyMs: KEEP_EVERY_MS,
      onError: (error) => log.warn({ err: error }, 'sessions could not be kept; trying again'),
    })
    const unsubscribe = bus.subscribeCore('postern.hint.session', () => sessions.noteChange())
    const stopListening = access.onChange(() => keepSessions.soon())

    return {
      rpc: [
        createSessionRpc({ sessions, activity, access, openSession }),
        createAgentSessionRpc({ sessions, identity }),
      ],
      async start() {
        replica.start()
        keepSessions.start()
      },
      async ready() {
        return access.ready() ? undefined : 'reading the logs of identity, policy and tunnel-broker'
      },
      async stop() {
        stopListening()
        unsubscribe()
        await keepSessions.stop()
        await replica.stop()
      },
    }
  },
})
