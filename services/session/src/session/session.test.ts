import { Rejection } from '@postern/errors'
import { given } from '@postern/eventing/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  END_REASONS,
  type Session,
  type SessionCommand,
  type SessionEvent,
  session,
} from './session.ts'

const now = new Date('2026-01-01T00:00:00Z')
const by = { by: 'service:gateway', now }
const bindings = [{ clusterRole: 'postern-view', namespaces: ['shop'] }]
const identity = {
  sessionId: 's1',
  userId: 'u1',
  userName: 'alice',
  clusterId: 'c1',
  account: 'ptr-a-b',
  expiresAt: '2026-01-01T12:00:00.000Z',
}
const opened: SessionEvent[] = [
  { type: 'SessionOpened', ...identity },
  { type: 'AccountDesired', sessionId: 's1', version: 1, bindings },
]
const ended: SessionEvent = { type: 'SessionEnded', sessionId: 's1', reason: END_REASONS.revoked }
const removed: SessionEvent = { type: 'AccountRemoved', sessionId: 's1', agentId: 'a1' }

test('opening a session asks for its account in the same breath', () => {
  given(session, [])
    .when({ type: 'OpenSession', ...identity, bindings }, by)
    .emits(opened)
})

test('an account that is already as wanted is not asked for again', () => {
  given(session, opened).when({ type: 'DesireAccount', bindings }, by).emits([])
})

test('other bindings are a new version of the account', () => {
  const wider = [{ clusterRole: 'postern-edit', namespaces: [] }]
  given(session, opened)
    .when({ type: 'DesireAccount', bindings: wider }, by)
    .emits([{ type: 'AccountDesired', sessionId: 's1', version: 2, bindings: wider }])
})

test('a report about a version that was replaced changes nothing', () => {
  const replaced: SessionEvent = {
    type: 'AccountDesired',
    sessionId: 's1',
    version: 2,
    bindings: [],
  }
  given(session, [...opened, replaced])
    .when({ type: 'RecordProvisioned', version: 1, agentId: 'a1' }, by)
    .emits([])
})

test('the same complaint twice is recorded once', () => {
  const failed: SessionEvent = {
    type: 'AccountFailed',
    sessionId: 's1',
    version: 1,
    agentId: 'a1',
    reason: 'no such role',
  }
  given(session, [...opened, failed])
    .when({ type: 'RecordFailed', version: 1, agentId: 'a2', reason: 'no such role' }, by)
    .emits([])
})

test.each([
  { name: 'ending an ended session', past: [...opened, ended] },
  { name: 'ending a session whose account is gone', past: [...opened, ended, removed] },
])('$name changes nothing', ({ past }) => {
  given(session, past).when({ type: 'EndSession', reason: END_REASONS.idle }, by).emits([])
})

test('an ended session never gets another account', () => {
  given(session, [...opened, ended])
    .when({ type: 'DesireAccount', bindings: [] }, by)
    .rejects('SESSION_ENDED')
})

test('an agent cannot say that a wanted account is gone', () => {
  given(session, opened)
    .when({ type: 'RecordRemoved', agentId: 'a1' }, by)
    .rejects('ACCOUNT_STILL_WANTED')
})

test('whatever happens, versions only grow, and nothing follows the end but the removal', () => {
  const command: fc.Arbitrary<SessionCommand> = fc.oneof(
    fc.record({
      type: fc.constant('DesireAccount' as const),
      bindings: fc.array(
        fc.record({
          clusterRole: fc.constantFrom('postern-view', 'postern-edit'),
          namespaces: fc.array(fc.constantFrom('a', 'b'), { maxLength: 2 }),
        }),
        { maxLength: 2 },
      ),
    }),
    fc.record({
      type: fc.constant('RecordProvisioned' as const),
      version: fc.integer({ min: 0, max: 5 }),
      agentId: fc.constant('a1'),
    }),
    fc.record({
      type: fc.constant('RecordFailed' as const),
      version: fc.integer({ min: 0, max: 5 }),
      agentId: fc.constant('a1'),
      reason: fc.constantFrom('x', 'y'),
    }),
    fc.record({
      type: fc.constant('EndSession' as const),
      reason: fc.constantFrom(...Object.values(END_REASONS)),
    }),
    fc.record({ type: fc.constant('RecordRemoved' as const), agentId: fc.constant('a1') }),
  )
  fc.assert(
    fc.property(fc.array(command, { maxLength: 30 }), (commands) => {
      const log: SessionEvent[] = [...opened]
      let state = log.reduce((folded, event) => session.evolve(folded, event), session.initial)
      for (const next of commands) {
        for (const event of decideOrRefuse(next, state)) {
          log.push(event)
          state = session.evolve(state, event)
        }
      }
      const versions = log.flatMap((event) =>
        event.type === 'AccountDesired' ? [event.version] : [],
      )
      expect(versions).toEqual(versions.map((_, index) => index + 1))
      const types = log.map((event) => event.type)
      const end = types.indexOf('SessionEnded')
      const afterEnd = end < 0 ? [] : types.slice(end + 1)
      expect([[], ['AccountRemoved']]).toContainEqual(afterEnd)
    }),
  )
})

/** A rejected command changes nothing; anything else that is thrown is a bug. */
function decideOrRefuse(command: SessionCommand, state: Session): readonly SessionEvent[] {
  try {
    return session.decide(command, state, by)
  } catch (error) {
    if (error instanceof Rejection) return []
    throw error
  }
}
