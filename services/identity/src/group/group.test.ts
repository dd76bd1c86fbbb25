import { given, play } from '@postern/eventing/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  ADMINISTRATOR,
  GROUP_MEMBERS_MAX,
  type Group,
  type GroupCommand,
  type GroupEvent,
  group,
  isMember,
  NO_ROLE,
} from './group.ts'

const at = { by: 'user:root', now: new Date('2026-01-01T00:00:00Z') }
const groupId = '01900000-0000-7000-8000-000000000001'
const userId = '01900000-0000-7000-8000-000000000002'
const create = {
  type: 'CreateGroup' as const,
  groupId,
  name: 'developers',
  platformRole: NO_ROLE,
} satisfies GroupCommand
const created: GroupEvent = { ...create, type: 'GroupCreated' }
const added: GroupEvent = { type: 'GroupMemberAdded', groupId, userId }
const removed: GroupEvent = { type: 'GroupMemberRemoved', groupId, userId }
const deleted: GroupEvent = { type: 'GroupDeleted', groupId }
const add: GroupCommand = { type: 'AddGroupMember', userId }
const remove: GroupCommand = { type: 'RemoveGroupMember', userId }

test('members come and go', () => {
  given(group, []).when(create, at).emits([created])
  given(group, [created]).when(add, at).emits([added])
  given(group, [created, added]).when(remove, at).emits([removed])
  given(group, [created, added, removed]).when(add, at).emits([added])
})

test.each<{ name: string; past: GroupEvent[]; command: GroupCommand }>([
  { name: 'creating the same group again', past: [created], command: create },
  { name: 'adding a member again', past: [created, added], command: add },
  { name: 'removing one who is no member', past: [created], command: remove },
  { name: 'deleting a deleted group', past: [created, deleted], command: { type: 'DeleteGroup' } },
])('$name changes nothing', ({ past, command }) => {
  given(group, past).when(command, at).emits([])
})

test.each<{ name: string; past: GroupEvent[]; command: GroupCommand; reason: string }>([
  {
    name: 'the same group with another platform role',
    past: [created],
    command: { ...create, platformRole: ADMINISTRATOR },
    reason: 'GROUP_EXISTS',
  },
  {
    name: 'bringing a deleted group back',
    past: [created, deleted],
    command: create,
    reason: 'GROUP_EXISTS',
  },
  { name: 'adding to an absent group', past: [], command: add, reason: 'GROUP_NOT_FOUND' },
  {
    name: 'adding to a deleted group',
    past: [created, deleted],
    command: add,
    reason: 'GROUP_NOT_FOUND',
  },
  {
    name: 'deleting an absent group',
    past: [],
    command: { type: 'DeleteGroup' },
    reason: 'GROUP_NOT_FOUND',
  },
  {
    name: 'a name that is an id',
    past: [],
    command: { ...create, name: userId },
    reason: 'INVALID_NAME',
  },
])('$name is rejected', ({ past, command, reason }) => {
  given(group, past).when(command, at).rejects(reason)
})

const someone = (index: number) => `01900000-0000-7000-8000-${index.toString(16).padStart(12, '0')}`

test('a group has a largest size', () => {
  const past: GroupEvent[] = [created]
  for (let index = 0; index < GROUP_MEMBERS_MAX; index += 1) {
    past.push({ type: 'GroupMemberAdded', groupId, userId: someone(index) })
  }
  given(group, past)
    .when({ type: 'AddGroupMember', userId: someone(GROUP_MEMBERS_MAX) }, at)
    .rejects('GROUP_FULL')
  given(group, past)
    .when({ type: 'AddGroupMember', userId: someone(7) }, at)
    .emits([])
})

test('whatever is asked in whatever order, each user is a member once or not at all', () => {
  const who = fc.nat(5).map(someone)
  const command = fc.oneof(
    { weight: 2, arbitrary: fc.constant<GroupCommand>(create) },
    {
      weight: 8,
      arbitrary: who.map<GroupCommand>((id) => ({ type: 'AddGroupMember', userId: id })),
    },
    {
      weight: 6,
      arbitrary: who.map<GroupCommand>((id) => ({ type: 'RemoveGroupMember', userId: id })),
    },
    { weight: 1, arbitrary: fc.constant<GroupCommand>({ type: 'DeleteGroup' }) },
  )
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
      const steps = play(
        group,
        commands.map((each) => ({ command: each, context: at })),
      )
      const members = new Set<string>()
      for (const { after, events } of steps) {
        for (const event of events) expect(isTrueNews(members, event)).toBe(true)
        expect(membersOf(after)).toEqual(after.status === 'active' ? [...members].toSorted() : [])
      }
    }),
  )
})

/** Applies the event to the model; false if it tells nothing new. */
function isTrueNews(members: Set<string>, event: GroupEvent): boolean {
  switch (event.type) {
    case 'GroupMemberAdded':
      return !members.has(event.userId) && members.add(event.userId).has(event.userId)
    case 'GroupMemberRemoved':
      return members.delete(event.userId)
    case 'GroupCreated':
    case 'GroupDeleted':
      return true
  }
}

function membersOf(state: Group): string[] {
  if (state.status !== 'active') return []
  const found = Array.from({ length: 6 }, (_, index) => someone(index)).filter((id) =>
    isMember(state.members, id),
  )
  expect(state.members.size).toBe(found.length)
  return found
}
