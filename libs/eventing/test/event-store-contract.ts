import { type EventStore, VersionConflictError } from '@postern/eventing'
import { expect, test } from 'vitest'
import { actor, group, type LedgerDatabase, type LedgerEvent } from './ledger.ts'

/** What every event store promises, the real one and the fake one. */
export function eventStoreContract(open: () => EventStore<LedgerDatabase, LedgerEvent>): void {
  const create = async (groupId: string, guard?: () => Promise<void>) =>
    await open().execute({
      stream: `group-${groupId}`,
      decider: group,
      command: { type: 'Create', groupId, name: groupId },
      actor,
      ...(guard === undefined ? {} : { guard }),
    })
  const add = async (groupId: string, ...userIds: string[]) =>
    await open().execute({
      stream: `group-${groupId}`,
      decider: group,
      command: { type: 'Add', groupId, userIds },
      actor,
    })

  test('a stream that was never written has the initial state and version 0', async () => {
    expect(await open().load('group-never', group)).toEqual({ state: group.initial, version: 0 })
  })

  test('a command answers the new state and where its last event lies', async () => {
    const created = await create('answers')
    const { state, pos } = await add('answers', 'u1', 'u2')
    expect(pos).toBe(created.pos + 2n)
    expect(state).toEqual({ exists: true, members: ['u1', 'u2'] })
    expect(await open().load('group-answers', group)).toEqual({ state, version: 3 })
  })

  test('a command that changes nothing answers where the stream ends', async () => {
    await create('idle')
    const { pos } = await add('idle', 'u1')
    await create('idle-other')
    expect(await add('idle', 'u1')).toMatchObject({ pos })
  })

  test('a rejection and a refusing guard leave no trace', async () => {
    const refuse = async () => await Promise.reject(new Error('refused'))
    await expect(create('refused', refuse)).rejects.toThrow('refused')
    await expect(add('refused', 'u1')).rejects.toMatchObject({ reason: 'GROUP_NOT_FOUND' })
    expect((await open().load('group-refused', group)).version).toBe(0)
  })

  test('writers of one stream all get their turn, each on the state that it then has', async () => {
    await create('shared')
    await Promise.all(['u1', 'u2', 'u3', 'u4'].map(async (user) => await add('shared', user)))
    const { state, version } = await open().load('group-shared', group)
    expect([...state.members].sort()).toEqual(['u1', 'u2', 'u3', 'u4'])
    expect(version).toBe(5)
  })

  test('of many that race for one stream, one makes it and the others are told', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 6 }, async () => await create('raced')),
    )
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const reasons = outcomes.map((one) => (one.status === 'rejected' ? one.reason.reason : ''))
    expect(new Set(reasons)).toEqual(new Set(['', 'GROUP_EXISTS']))
  })

  test('a writer that always loses gives up with a conflict', async () => {
    let tried = 0
    const lose = async () => {
      tried += 1
      await Promise.reject(new VersionConflictError('another was first'))
    }
    await expect(create('contested', lose)).rejects.toBeInstanceOf(VersionConflictError)
    expect(tried).toBe(8)
  })

  test.each([
    { name: 'a stream without an id', stream: 'group', by: 'user:a', cause: 'c' },
    { name: 'a stream with a wildcard', stream: 'group-*', by: 'user:a', cause: 'c' },
    { name: 'a line break in an actor', stream: 'group-x', by: 'user:a\r\nepoch: 1', cause: 'c' },
    { name: 'an empty cause', stream: 'group-x', by: 'user:a', cause: '' },
  ])('$name is refused', async ({ stream, by, cause }) => {
    const order = { stream, decider: group, actor: { by, cause } }
    const command = { type: 'Create' as const, groupId: 'x', name: 'x' }
    const wrong = /stream's name|printable ASCII/
    await expect(open().execute({ ...order, command })).rejects.toThrow(wrong)
    expect((await open().load(stream, group)).version).toBe(0)
  })
}
