import type { Bus } from '@postern/bus'
import { rejections } from '@postern/errors'
import {
  type Decider,
  type EventCodec,
  type EventLog,
  eventCodec,
  openEventLog,
  type Projection,
} from '@postern/eventing'
import { GroupCreated, GroupMemberAdded } from '@postern/proto/postern/identity/events/v1/events'
import { createSilentLog } from '@postern/telemetry/testing'
import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** A small domain for these tests, in messages that exist: groups with unique names, and members. */
export type LedgerEvent =
  | { type: 'GroupCreated'; groupId: string; name: string; platformRole: 0 | 1 | 2 | -1 }
  | { type: 'GroupMemberAdded'; groupId: string; userId: string }

export type LedgerCommand =
  | { type: 'Create'; groupId: string; name: string }
  | { type: 'Add'; groupId: string; userIds: readonly string[] }

export type Group = { readonly exists: boolean; readonly members: readonly string[] }

export type LedgerDatabase = {
  groups: { group_id: string; name: string; pos: bigint }
  members: { group_id: string; user_id: string; pos: bigint; seen: number }
}

const rejected = rejections({
  GROUP_EXISTS: ['already_exists', 'there is such a group'],
  GROUP_NOT_FOUND: ['not_found', 'there is no such group'],
  NAME_TAKEN: ['already_exists', 'the name is taken'],
})

export const group: Decider<Group, LedgerCommand, LedgerEvent> = {
  initial: { exists: false, members: [] },

  decide(command, state) {
    if (command.type === 'Create') {
      if (state.exists) throw rejected('GROUP_EXISTS')
      const { groupId, name } = command
      return [{ type: 'GroupCreated', groupId, name, platformRole: 0 }]
    }
    if (!state.exists) throw rejected('GROUP_NOT_FOUND')
    const { groupId, userIds } = command
    return userIds
      .filter((userId) => !state.members.includes(userId))
      .map((userId) => ({ type: 'GroupMemberAdded', groupId, userId }))
  },

  evolve(state, event) {
    if (event.type === 'GroupCreated') return { exists: true, members: [] }
    return { ...state, members: [...state.members, event.userId] }
  },
}

export const codec: EventCodec<LedgerEvent> = eventCodec('postern.identity.events.v1', {
  GroupCreated,
  GroupMemberAdded,
})

export const directory: Projection<LedgerDatabase, LedgerEvent> = {
  name: 'directory',
  version: 1,
  tables: ['groups', 'members'],
  async apply(db, { event, pos }) {
    if (event.type === 'GroupCreated') {
      const { groupId: group_id, name } = event
      await db.insertInto('groups').values({ group_id, name, pos }).execute()
    } else {
      const { groupId: group_id, userId: user_id } = event
      // `seen` shows an event that was applied twice.
      await db
        .insertInto('members')
        .values({ group_id, user_id, pos, seen: 1 })
        .onConflict((conflict) =>
          conflict.columns(['group_id', 'user_id']).doUpdateSet({ seen: sql`members.seen + 1` }),
        )
        .execute()
    }
  },
  conflicts: { groups_name_unique: () => rejected('NAME_TAKEN') },
}

const migrations: Readonly<Record<string, Migration>> = {
  '0001-directory': {
    async up(db) {
      await sql`create table groups (group_id text primary key, name text not null, pos bigint not null,
        constraint groups_name_unique unique (name))`.execute(db)
      await sql`create table members (group_id text not null, user_id text not null, pos bigint not null,
        seen integer not null, primary key (group_id, user_id))`.execute(db)
    },
  },
}

export const actor = { by: 'user:alice', cause: 'test.v1.Ledger/Change' }

/** A bus that is never there: nothing about the log may need one. */
const noBus: Bus = {
  publishCore: () => undefined,
  stream: () => {
    throw new Error('no bus')
  },
  connected: false,
  problem: 'there is none',
  onConnect: () => () => undefined,
  close: async () => undefined,
}

export async function openLedger(
  databaseUrl: string,
  changes: {
    readonly service?: string
    readonly bus?: Bus
    readonly projections?: readonly Projection<LedgerDatabase, LedgerEvent>[]
    readonly codec?: EventCodec<LedgerEvent>
  } = {},
): Promise<EventLog<LedgerDatabase, LedgerEvent>> {
  const log = createSilentLog()
  return await openEventLog<LedgerDatabase, LedgerEvent>({
    databaseUrl,
    service: 'ledger',
    codec,
    projections: [directory],
    migrations,
    bus: noBus,
    log,
    now: () => new Date('2030-01-01T00:00:00.000Z'),
    ...changes,
  })
}
