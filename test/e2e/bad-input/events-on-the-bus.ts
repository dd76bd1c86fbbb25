import { randomBytes, randomUUID } from 'node:crypto'
import { eventually } from '@postern/bootstrap'
import { openOutsider } from '@postern/bus/testing'
import { GroupMemberAdded } from '@postern/proto/postern/identity/events/v1/events'
import { describe, expect, test } from 'vitest'
import { changesNothing, logHeads } from '../support/changes-nothing.ts'
import { query } from '../support/database.ts'
import type { E2eWorld } from '../support/e2e-world.ts'
import { natsPassword, saidByNats } from '../support/nats.ts'

const LOGS = ['identity', 'policy', 'session', 'tunnel-broker', 'audit'] as const
const PODS = '/api/v1/namespaces/team/pods'

/** The bus carries copies of the logs: whoever writes onto it writes no log. */
export function eventsOnTheBus(world: () => E2eWorld): void {
  describe('events on the bus', () => {
    test.each([
      { name: 'nobody', signIn: {} },
      { name: 'a guessed password', signIn: { user: 'policy', pass: 'policy' } },
      { name: 'an unknown user', signIn: { user: 'root', pass: 'x' } },
    ])('$name is not let onto the bus', async ({ signIn }) => {
      const errors = await changesNothing(world(), () => saidByNats(world(), signIn))
      expect(errors).toEqual(["-ERR 'Authorization Violation'"])
    })

    test('a part may publish no event or record of a log that is not its own, and read nothing', async () => {
      const data = Buffer.from('forged')
      await changesNothing(world(), async () => {
        for (const user of LOGS) {
          const foreign = LOGS.filter((log) => log !== user).flatMap((log) => [
            { subject: `postern.evt.${log}.grant.GrantCreated.x`, data },
            { subject: `$JS.API.CONSUMER.CREATE.EVT_${log.toUpperCase()}`, data },
          ])
          const signIn = { user, pass: natsPassword(world(), user) }
          const errors = await saidByNats(world(), signIn, foreign)
          expect(errors).toHaveLength(foreign.length)
          expect(errors.every((error) => /Permissions Violation for Publish/.test(error))).toBe(
            true,
          )
        }
      })
    })

    test("garbage in a log's copy, from someone with its owner's password, is never believed: the log is read from its owner, and the copy mends", async () => {
      await world().createUser('patient')
      const { secret } = await world().token('patient')
      const leads = await world().token('lead')
      const garbage = Array.from({ length: 5 }, () => randomBytes(200))
      const heads = await logHeads(world())
      for (const user of ['policy', 'identity', 'tunnel-broker', 'session']) {
        const signIn = { user, pass: natsPassword(world(), user) }
        const published = garbage.flatMap((data) => [
          { subject: `postern.evt.${user}.grant.GrantCreated.x`, data },
        ])
        expect(await saidByNats(world(), signIn, published)).toEqual([])
      }
      expect((await world().ask(secret, { path: PODS })).status).not.toBe(200)
      await eventually('requests to work, and no log to be doubted any more', 60_000, async () => {
        for (const name of [...LOGS, 'gateway'] as const) {
          expect(await world().platform.service(name).ready()).toBeUndefined()
        }
        expect((await world().ask(leads.secret, { path: PODS })).status).toBe(200)
      })
      expect((await world().ask(secret, { path: PODS })).status).toBe(403)
      expect(await logHeads(world())).toEqual(heads)
      await world().admin.api.call('POST', '/v1/groups/developers/members', { user: 'patient' })
      await eventually('what is really decided to arrive', 60_000, async () => {
        expect((await world().ask(secret, { path: PODS })).status).toBe(200)
      })
    })

    test('an event as its owner would write it, in the next place of the log, makes nobody anything', async () => {
      await world().createUser('mallory')
      const { secret } = await world().token('mallory')
      const [names] = await query<{ user_id: string; group_id: string }>(
        world(),
        `select (select user_id::text from identity.users where name = 'mallory') as user_id,
          (select group_id::text from identity.groups where name = 'developers') as group_id`,
      )
      const { user_id: userId, group_id: groupId } = names ?? { user_id: '', group_id: '' }
      const [head] = await query<{ pos: string; epoch: string }>(
        world(),
        'select pos::text, epoch::text from identity.head',
      )
      const password = natsPassword(world(), 'identity')
      const attacker = await openOutsider(
        `nats://identity:${password}@127.0.0.1:${world().platform.ports.nats}`,
      )
      for (let ahead = 1n; ahead <= 5n; ahead += 1n) {
        await attacker.publish({
          subject: `postern.evt.identity.group.GroupMemberAdded.${groupId}`,
          data: GroupMemberAdded.encode({ groupId, userId }).finish(),
          headers: {
            'ce-id': randomUUID(),
            'ce-type': 'postern.identity.events.v1.GroupMemberAdded',
            'ce-time': new Date().toISOString(),
            pos: String(BigInt(head?.pos ?? 0) + ahead),
            epoch: head?.epoch ?? '',
            ver: '9',
            stream: `group-${groupId}`,
            schemaver: '1',
            actor: 'system',
            cause: 'forged',
          },
        })
      }
      await attacker.close()
      const asked = async () => (await world().ask(secret, { path: PODS })).status
      expect(await asked()).toBe(403)
      // What follows in the log arrives, in the place of what was forged.
      await world().createUser('bystander')
      await eventually('the true log to arrive', 10_000, async () => {
        const bystander = await world().token('bystander')
        expect((await world().ask(bystander.secret, { path: PODS })).status).toBe(403)
      })
      expect(await asked()).toBe(403)
    })
  })
}
