import { randomBytes } from 'node:crypto'
import { createReplica } from '@postern/replica'
import type { Composed, Runtime } from '@postern/service'
import { createAgentSessionRpc } from './account-order/agent-session-rpc.ts'
import { createReplicaAccess } from './adapters/replica-access.ts'
import type { SessionConfig } from './config.ts'
import type { SessionDatabase } from './database.ts'
import { createRepeated } from './repeated.ts'
import { createActivityStore } from './session/activity.ts'
import { createKeepSessions } from './session/keep-sessions.ts'
import { createOpenSession } from './session/open-session.ts'
import type { SessionEvent } from './session/session.ts'
import { createSessionChanges } from './session/session-changes.ts'
import { createSessionRepository } from './session/session-repository.ts'
import { createSessionRpc } from './session/session-rpc.ts'
import { createSessionSignals } from './signals.ts'

const KEEP_EVERY_MS = 1000

type SessionRuntime = Runtime<SessionConfig, SessionDatabase, SessionEvent>

export async function composeSession({
  config,
  db,
  store,
  eventLog,
  identity,
  clients,
  log,
  metrics,
  now,
}: SessionRuntime): Promise<Composed> {
  const signals = createSessionSignals({ log, metrics })
  const replica = createReplica({ clients, log })
  const access = createReplicaAccess(replica)
  const changes = createSessionChanges({
    db,
    onError: (err) => signals.lookingFailed({ err }),
  })
  const sessions = createSessionRepository({ db, store, changes })
  const activity = createActivityStore({ db })
  const openSession = createOpenSession({
    sessions,
    changes,
    activity,
    access,
    now,
    random: randomBytes,
    lifetimeSeconds: config.lifetimeSeconds,
    waitMs: config.accountWaitSeconds * 1000,
    signals,
  })
  const keepSessions = createRepeated({
    work: createKeepSessions({
      sessions,
      head: () => eventLog.head(),
      activity,
      access,
      now,
      idleSecondsMax: config.idleSeconds,
      signals,
    }),
    everyMs: KEEP_EVERY_MS,
    onError: (err) => signals.keepingFailed({ err }),
  })
  const unsubscribe = eventLog.onAppend(() => changes.look())
  const stopListening = access.onChange(() => keepSessions.soon())

  return {
    rpc: [
      createSessionRpc({ sessions, activity, access, openSession, now }),
      createAgentSessionRpc({ sessions, changes, access, identity }),
    ],
    async start() {
      replica.start()
      changes.start()
      keepSessions.start()
    },
    async ready() {
      return access.ready() ? undefined : 'reading the logs of identity, policy and tunnel-broker'
    },
    async stop() {
      stopListening()
      unsubscribe()
      await keepSessions.stop()
      await changes.stop()
      await replica.stop()
    },
  }
}
