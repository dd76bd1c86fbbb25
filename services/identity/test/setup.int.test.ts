import { connectBus } from '@postern/bus'
import { type EventStore, openEventLog } from '@postern/eventing'
import { createDatabase } from '@postern/fixtures'
import { createLog } from '@postern/telemetry'
import { afterAll, afterEach, beforeEach, expect, inject, test } from 'vitest'
import type { IdentityDatabase } from '../src/database.ts'
import { directory } from '../src/directory-projection.ts'
import { createGroupRepository } from '../src/group/group-repository.ts'
import { identityCodec } from '../src/identity-codec.ts'
import type { IdentityEvent } from '../src/identity-event.ts'
import { directoryAndSecrets } from '../src/migrations/0001-directory-and-secrets.ts'
import { createSetupRepository } from '../src/setup/setup-repository.ts'
import { createUserRepository } from '../src/user/user-repository.ts'

type Store = EventStore<IdentityDatabase, IdentityEvent>

const log = createLog({ name: 'test', level: 'silent' })
const actor = { by: 'service:console', cause: 'test' }
const now = () => new Date()
const bus = connectBus({ url: inject('natsUrl'), name: 'test', log })
const open = async () =>
  await openEventLog<IdentityDatabase, IdentityEvent>({
    databaseUrl: await createDatabase(inject('postgresUrl')),
    service: 'identity',
    codec: identityCodec,
    projections: [directory],
    migrations: { '0001': directoryAndSecrets },
    bus,
    log,
    now,
  })

let eventLog: Awaited<ReturnType<typeof open>>
beforeEach(async () => {
  eventLog = await open()
})
afterEach(async () => {
  await eventLog.stop()
})
afterAll(async () => {
  await bus.close()
})

function setupsOn(store: Store) {
  const { db } = eventLog
  const users = createUserRepository({ store, db, now })
  const groups = createGroupRepository({ store, db })
  return createSetupRepository({ store, db, users, groups, now })
}

/** Fails when a command reaches a stream whose name begins so, as if the process had ended there. */
function endingAt(prefix: string): Store {
  const { store } = eventLog
  return {
    load: async (stream, decider) => await store.load(stream, decider),
    async execute(order) {
      if (order.stream.startsWith(prefix)) throw new Error('ended here')
      return await store.execute(order)
    },
  }
}

test.each(['user-', 'group-', 'setup-'])(
  'a set-up that ended before it wrote to %s is finished by repeating it',
  async (prefix) => {
    const setups = setupsOn(eventLog.store)
    const secret = (await setups.makeToken()) ?? ''
    const order = { secret, userName: 'root', passwordHash: 'first' }
    await expect(setupsOn(endingAt(prefix)).complete(order, actor)).rejects.toThrow('ended here')

    // A restart hands out a new token; what was begun is kept.
    const newSecret = (await setups.makeToken()) ?? ''
    const again = { ...order, secret: newSecret, passwordHash: 'second' }
    const userId = await setups.complete(again, actor)

    const members = await eventLog.db
      .selectFrom('group_members')
      .innerJoin('groups', 'groups.group_id', 'group_members.group_id')
      .select(['user_id', 'name', 'platform_role'])
      .execute()
    expect(members).toEqual([{ user_id: userId, name: 'administrators', platform_role: 1 }])
    const hashes = await eventLog.db.selectFrom('credentials').select('password_hash').execute()
    expect(hashes).toEqual([{ password_hash: 'second' }])
    expect(await setups.makeToken()).toBeUndefined()
    await expect(setups.check(newSecret)).rejects.toMatchObject({ reason: 'SETUP_COMPLETED' })
    await expect(setups.complete(again, actor)).rejects.toMatchObject({
      reason: 'SETUP_TOKEN_WRONG',
    })
  },
)

test('a set-up that was begun for one name is not finished for another', async () => {
  const setups = setupsOn(eventLog.store)
  const secret = (await setups.makeToken()) ?? ''
  const order = { secret, userName: 'root', passwordHash: 'first' }
  await expect(setupsOn(endingAt('group-')).complete(order, actor)).rejects.toThrow('ended here')
  await expect(setups.complete({ ...order, userName: 'eve' }, actor)).rejects.toMatchObject({
    reason: 'SETUP_BEGUN',
    message: 'set-up was begun for the user name "root"; use it again',
  })
})

test('set-up that is asked for ten times at once makes one administrator', async () => {
  const setups = setupsOn(eventLog.store)
  const secret = (await setups.makeToken()) ?? ''
  const order = { secret, userName: 'root', passwordHash: 'hash' }
  const results = await Promise.allSettled(
    Array.from({ length: 10 }, () => setups.complete(order, actor)),
  )
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  const users = await eventLog.db.selectFrom('users').select('name').execute()
  expect(users).toEqual([{ name: 'root' }])
  const groups = await eventLog.db.selectFrom('groups').select('name').execute()
  expect(groups).toEqual([{ name: 'administrators' }])
})
