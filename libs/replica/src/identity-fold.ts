import type { Group, User } from '@postern/access'
import { type DraftMap, draftMap } from './draft-map.ts'
import type { IdentityEvent } from './identity-codec.ts'
import type { KnownToken } from './replica.ts'

/** What identity's log says about who there is, and which tokens stand for whom. */
export type IdentityState = {
  readonly users: ReadonlyMap<string, User>
  readonly groups: ReadonlyMap<string, Group>
  readonly userIdByName: ReadonlyMap<string, string>
  /** By the token's SHA-256 in hex. */
  readonly tokens: ReadonlyMap<string, KnownToken>
  readonly tokenHashById: ReadonlyMap<string, string>
  /** When expired tokens were last left out: milliseconds since 1970, on the clock of the log. */
  readonly sweptAt: number
}

export const NO_IDENTITY: IdentityState = {
  users: new Map(),
  groups: new Map(),
  userIdByName: new Map(),
  tokens: new Map(),
  tokenHashById: new Map(),
  sweptAt: 0,
}

const SWEEP_MS = 60 * 60 * 1000

/** Pure; the same however the log is cut into batches. */
export function foldIdentity(
  state: IdentityState,
  batch: readonly { readonly event: IdentityEvent; readonly at: string }[],
): IdentityState {
  const draft = {
    users: draftMap(state.users),
    groups: draftMap(state.groups),
    userIdByName: draftMap(state.userIdByName),
    tokens: draftMap(state.tokens),
    tokenHashById: draftMap(state.tokenHashById),
  }
  let { sweptAt } = state
  for (const { event, at } of batch) {
    apply(draft, event)
    const happenedAt = Date.parse(at)
    if (happenedAt - sweptAt >= SWEEP_MS) {
      sweptAt = happenedAt
      dropTokens(draft, ({ expiresAt }) => Date.parse(expiresAt) <= happenedAt)
    }
  }
  return {
    users: draft.users.done(),
    groups: draft.groups.done(),
    userIdByName: draft.userIdByName.done(),
    tokens: draft.tokens.done(),
    tokenHashById: draft.tokenHashById.done(),
    sweptAt,
  }
}

type Draft = {
  users: DraftMap<User>
  groups: DraftMap<Group>
  userIdByName: DraftMap<string>
  tokens: DraftMap<KnownToken>
  tokenHashById: DraftMap<string>
}

function apply(draft: Draft, event: IdentityEvent): void {
  const { users, groups, userIdByName, tokens, tokenHashById } = draft
  switch (event.type) {
    case 'UserCreated': {
      const { userId: id, name } = event
      users.set(id, { id, name, disabled: false, groupIds: [] })
      userIdByName.set(name, id)
      return
    }
    case 'UserDisabled':
      changeUser(users, event.userId, (user) => ({ ...user, disabled: true }))
      dropTokensOf(draft, event.userId)
      return
    case 'UserEnabled':
      changeUser(users, event.userId, (user) => ({ ...user, disabled: false }))
      return
    case 'UserDeleted': {
      const name = users.get(event.userId)?.name
      // The name is free from now on, and may be another user's already in a log that was restored.
      if (name !== undefined && userIdByName.get(name) === event.userId) userIdByName.delete(name)
      users.delete(event.userId)
      dropTokensOf(draft, event.userId)
      return
    }
    case 'PasswordSet':
      dropTokensOf(draft, event.userId)
      return
    case 'GroupCreated':
      groups.set(event.groupId, { id: event.groupId, name: event.name })
      return
    case 'GroupDeleted':
      groups.delete(event.groupId)
      for (const { id, groupIds } of users.values()) {
        if (groupIds.includes(event.groupId)) leaveGroup(users, id, event.groupId)
      }
      return
    case 'GroupMemberAdded': {
      const { groupId, userId } = event
      if (groups.get(groupId) === undefined) return
      changeUser(users, userId, (user) =>
        user.groupIds.includes(groupId) ? user : { ...user, groupIds: [...user.groupIds, groupId] },
      )
      return
    }
    case 'GroupMemberRemoved':
      leaveGroup(users, event.userId, event.groupId)
      return
    case 'TokenIssued': {
      const { tokenId, userId, expiresAt } = event
      // A token of someone who is gone or disabled stands for nobody.
      if (users.get(userId)?.disabled !== false) return
      const hash = hexOf(event.tokenSha256)
      tokens.set(hash, { tokenId, userId, expiresAt })
      tokenHashById.set(tokenId, hash)
      return
    }
    case 'TokenRevoked': {
      const hash = tokenHashById.get(event.tokenId)
      if (hash !== undefined) tokens.delete(hash)
      tokenHashById.delete(event.tokenId)
      return
    }
    case 'SetupCompleted':
      return
  }
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

function changeUser(users: DraftMap<User>, userId: string, change: (user: User) => User): void {
  const user = users.get(userId)
  if (user !== undefined) users.set(userId, change(user))
}

function leaveGroup(users: DraftMap<User>, userId: string, groupId: string): void {
  changeUser(users, userId, (user) => ({
    ...user,
    groupIds: user.groupIds.filter((id) => id !== groupId),
  }))
}

function dropTokensOf(draft: Draft, userId: string): void {
  dropTokens(draft, (token) => token.userId === userId)
}

function dropTokens(
  { tokens, tokenHashById }: Draft,
  isDropped: (token: KnownToken) => boolean,
): void {
  for (const token of [...tokens.values()].filter(isDropped)) {
    const hash = tokenHashById.get(token.tokenId)
    if (hash !== undefined) tokens.delete(hash)
    tokenHashById.delete(token.tokenId)
  }
}
