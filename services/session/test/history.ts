import { END_REASONS, type SessionEvent } from '../src/session/session.ts'

const id = (index: number) => `01900000-0000-7000-8000-${index.toString(16).padStart(12, '0')}`
const [used, failed, abandoned] = [id(1), id(2), id(3)] as const
const [alice, bob, prod, dev, agent] = [id(10), id(11), id(12), id(13), id(14)] as const

const opened = (
  sessionId: string,
  userId: string,
  userName: string,
  clusterId: string,
): SessionEvent => ({
  type: 'SessionOpened',
  sessionId,
  userId,
  userName,
  clusterId,
  account: `ptr-aaaaaaaaaaaaaaaaaaaa-${sessionId.slice(-8)}`,
  expiresAt: '2026-01-01T22:00:00.000Z',
})

const story: Readonly<Record<string, readonly SessionEvent[]>> = {
  [used]: [
    opened(used, alice, 'alice', prod),
    {
      type: 'AccountDesired',
      sessionId: used,
      version: 1,
      bindings: [{ clusterRole: 'postern-view', namespaces: ['shop', 'team-a'] }],
    },
    { type: 'AccountProvisioned', sessionId: used, version: 1, agentId: agent },
    {
      type: 'AccountDesired',
      sessionId: used,
      version: 2,
      bindings: [
        { clusterRole: 'postern-edit', namespaces: ['shop'] },
        { clusterRole: 'postern-view', namespaces: [] },
      ],
    },
    { type: 'AccountProvisioned', sessionId: used, version: 2, agentId: agent },
    { type: 'SessionEnded', sessionId: used, reason: END_REASONS.grantEnded },
    { type: 'AccountRemoved', sessionId: used, agentId: agent },
  ],
  [failed]: [
    opened(failed, bob, 'bob@example.com', prod),
    { type: 'AccountDesired', sessionId: failed, version: 1, bindings: [] },
    {
      type: 'AccountFailed',
      sessionId: failed,
      version: 1,
      agentId: agent,
      reason: 'there is no ClusterRole „postern-view“',
    },
    { type: 'SessionEnded', sessionId: failed, reason: END_REASONS.logout },
  ],
  [abandoned]: [
    opened(abandoned, alice, 'alice', dev),
    {
      type: 'AccountDesired',
      sessionId: abandoned,
      version: 1,
      bindings: [{ clusterRole: 'postern-admin', namespaces: [] }],
    },
  ],
}

/** A short history with every type of event that this version writes. */
export const history: readonly { stream: string; event: SessionEvent }[] = Object.entries(
  story,
).flatMap(([sessionId, events]) =>
  events.map((event) => ({ stream: `session-${sessionId}`, event })),
)

/** Named here so that TypeScript refuses a new type of event without a sample of it. */
const samples: Record<SessionEvent['type'], true> = {
  SessionOpened: true,
  AccountDesired: true,
  AccountProvisioned: true,
  AccountFailed: true,
  SessionEnded: true,
  AccountRemoved: true,
}

export const eventTypes = Object.keys(samples)
