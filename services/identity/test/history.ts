import type { IdentityEvent } from '../src/identity-event.ts'

const id = (index: number) => `01900000-0000-7000-8000-${index.toString(16).padStart(12, '0')}`
const [alice, bot, group, token] = [id(1), id(2), id(3), id(4)] as const

/** A short history with every type of event that this version writes. */
export const history: readonly { stream: string; event: IdentityEvent }[] = [
  {
    stream: `user-${alice}`,
    event: {
      type: 'UserCreated',
      userId: alice,
      name: 'alice@example.com',
      displayName: 'Alice Ærø',
      kind: 1,
    },
  },
  { stream: `user-${alice}`, event: { type: 'PasswordSet', userId: alice } },
  {
    stream: `user-${bot}`,
    event: { type: 'UserCreated', userId: bot, name: 'ci', displayName: '', kind: 2 },
  },
  {
    stream: `group-${group}`,
    event: { type: 'GroupCreated', groupId: group, name: 'administrators', platformRole: 1 },
  },
  {
    stream: `group-${group}`,
    event: { type: 'GroupMemberAdded', groupId: group, userId: alice },
  },
  { stream: 'setup-setup', event: { type: 'SetupCompleted', userId: alice } },
  {
    stream: `token-${token}`,
    event: {
      type: 'TokenIssued',
      tokenId: token,
      userId: alice,
      tokenSha256: Buffer.alloc(32, 7),
      description: 'laptop',
      expiresAt: '2026-01-01T12:00:00.123Z',
    },
  },
  { stream: `token-${token}`, event: { type: 'TokenRevoked', tokenId: token, reason: 'lost' } },
  {
    stream: `group-${group}`,
    event: { type: 'GroupMemberAdded', groupId: group, userId: bot },
  },
  {
    stream: `group-${group}`,
    event: { type: 'GroupMemberRemoved', groupId: group, userId: alice },
  },
  { stream: `user-${alice}`, event: { type: 'UserDisabled', userId: alice, reason: 'left' } },
  { stream: `user-${alice}`, event: { type: 'UserEnabled', userId: alice } },
  { stream: `user-${bot}`, event: { type: 'UserDeleted', userId: bot } },
  { stream: `group-${id(5)}`, event: { type: 'GroupDeleted', groupId: id(5) } },
]

/** Named here so that TypeScript refuses a new type of event without a sample of it. */
const samples: Record<IdentityEvent['type'], true> = {
  UserCreated: true,
  UserDisabled: true,
  UserEnabled: true,
  UserDeleted: true,
  PasswordSet: true,
  GroupCreated: true,
  GroupDeleted: true,
  GroupMemberAdded: true,
  GroupMemberRemoved: true,
  TokenIssued: true,
  TokenRevoked: true,
  SetupCompleted: true,
}

export const eventTypes = Object.keys(samples)
