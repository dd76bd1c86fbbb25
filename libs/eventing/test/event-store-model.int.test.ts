import { createDatabase } from '@postern/fixtures'
import fc from 'fast-check'
import { expect, inject, test } from 'vitest'
import { actor, group, openLedger } from './ledger.ts'
import { expectWhole } from './whole-log.ts'

const ids = fc.constantFrom('a', 'b', 'c')
const commands = fc.array(
  fc.oneof(
    fc.record({ type: fc.constant('Create' as const), groupId: ids, name: ids }),
    fc.record({
      type: fc.constant('Add' as const),
      groupId: ids,
      userIds: fc.uniqueArray(fc.constantFrom('u1', 'u2', 'u3'), { maxLength: 3 }),
    }),
  ),
  { maxLength: 25 },
)
type Commands = typeof commands extends fc.Arbitrary<infer List> ? List : never

/** What the same commands do to two maps. Answers the members after a command, or the reason why not. */
function createModel() {
  const names = new Set<string>()
  const members = new Map<string, string[]>()
  return {
    members,
    run(command: Commands[number]): readonly string[] | string {
      const known = members.get(command.groupId)
      if (command.type === 'Create') {
        if (known !== undefined) return 'GROUP_EXISTS'
        if (names.has(command.name)) return 'NAME_TAKEN'
        names.add(command.name)
        members.set(command.groupId, [])
        return []
      }
      if (known === undefined) return 'GROUP_NOT_FOUND'
      known.push(...command.userIds.filter((userId) => !known.includes(userId)))
      return [...known]
    },
  }
}

test('any commands in any order give what a model of them gives', async () => {
  const ledger = await openLedger(await createDatabase(inject('postgresUrl')))
  let run = 0
  try {
    await fc.assert(
      fc.asyncProperty(commands, async (list) => {
        run += 1
        const prefix = `r${run}x`
        const model = createModel()
        for (const one of list) {
          const groupId = prefix + one.groupId
          const command =
            one.type === 'Create'
              ? { ...one, groupId, name: prefix + one.name }
              : { ...one, groupId }
          const outcome = await ledger.store
            .execute({ stream: `group-${groupId}`, decider: group, command, actor })
            .then(({ state }) => state.members)
            .catch((error: { reason?: string }) => error.reason)
          expect(outcome).toEqual(model.run(one))
        }
        for (const [groupId, expected] of model.members) {
          const rows = await ledger.db
            .selectFrom('members')
            .select(['user_id', 'seen'])
            .where('group_id', '=', prefix + groupId)
            .orderBy('pos')
            .execute()
          expect(rows).toEqual(expected.map((user_id) => ({ user_id, seen: 1 })))
        }
      }),
      { numRuns: 40 },
    )
    await expectWhole(ledger)
  } finally {
    await ledger.stop()
  }
}, 60_000)
