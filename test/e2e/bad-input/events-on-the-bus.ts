import { randomBytes } from 'node:crypto'
import { eventually } from '@postern/bootstrap'
import { describe, expect, test } from 'vitest'
import { changesNothing, logHeads } from '../support/changes-nothing.ts'
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

    test('a part may publish no event, hint or record of a log that is not its own', async () => {
      const data = Buffer.from('forged')
      await changesNothing(world(), async () => {
        for (const user of ['gateway', ...LOGS]) {
          const foreign = LOGS.filter((log) => log !== user).flatMap((log) => [
            { subject: `postern.evt.${log}.grant.GrantCreated.x`, data },
            { subject: `postern.hint.${log}`, data },
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
          { subject: `postern.hint.${user}`, data },
          { subject: `postern.lease.${user}`, data },
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
  })
}
