import { Rejection } from '@postern/errors'
import type { Actor, EventStore } from '@postern/eventing'
import { newId, parseId } from '@postern/ids'
import { newSecret, sha256 } from '@postern/pki'
import type { Kysely } from 'kysely'
import type { IdentityDatabase } from '../database.ts'
import { ADMINISTRATOR } from '../group/group.ts'
import type { GroupRepository } from '../group/group-repository.ts'
import type { IdentityEvent } from '../identity-event.ts'
import { HUMAN } from '../user/user.ts'
import type { UserRepository } from '../user/user-repository.ts'
import { setup, setupRejected } from './setup.ts'

export type SetupRepository = ReturnType<typeof createSetupRepository>
type Needs = {
  store: EventStore<IdentityDatabase, IdentityEvent>
  db: Kysely<IdentityDatabase>
  users: UserRepository
  groups: GroupRepository
  now: () => Date
}

const STREAM = 'setup-setup'
const ADMINISTRATORS = 'administrators'

export function createSetupRepository({ store, db, users, groups, now }: Needs) {
  async function isOpen(): Promise<boolean> {
    const { state } = await store.load(STREAM, setup)
    return state.status === 'open'
  }

  return {
    /**
     * A new one-time token if set-up is still open; an earlier one no longer works. Only its SHA-256
     * is kept.
     */
    async makeToken(): Promise<string | undefined> {
      if (!(await isOpen())) return undefined
      const secret = newSecret('psu_')
      const token = { token_sha256: sha256(secret), made_at: now().toISOString() }
      await db.transaction().execute(async (tx) => {
        const begun = await tx.selectFrom('setup_tokens').selectAll().forUpdate().executeTakeFirst()
        if (begun === undefined) {
          const ids = { user_id: newId('user'), group_id: newId('group') }
          await tx
            .insertInto('setup_tokens')
            .values({ ...ids, ...token })
            .execute()
        } else await tx.updateTable('setup_tokens').set(token).execute()
      })
      return secret
    },

    /** @throws Rejection SETUP_COMPLETED, SETUP_TOKEN_WRONG unless the token may set up now */
    async check(secret: string): Promise<void> {
      if (!(await isOpen())) throw setupRejected('SETUP_COMPLETED')
      await begunWith(secret)
    },

    /**
     * Makes the first administrator. The ids were chosen with the token, so that a call that was cut
     * off half way can be repeated.
     */
    async complete(
      order: { secret: string; userName: string; passwordHash: string },
      actor: Actor,
    ): Promise<string> {
      const begun = await begunWith(order.secret)
      const userId = parseId('user', begun.user_id)
      const groupId = parseId('group', begun.group_id)
      const earlier = await users.find(userId)
      if (earlier !== undefined && earlier.name !== order.userName) throw begunAs(earlier.name)

      const administrator = { userId, name: order.userName, displayName: '', kind: HUMAN } as const
      await users.create(administrator, undefined, actor)
      await users.setPassword(userId, order.passwordHash, actor)
      const group = { groupId, name: ADMINISTRATORS, platformRole: ADMINISTRATOR } as const
      await groups.create(group, actor)
      await groups.addMember(groupId, userId, actor)
      await store.execute({
        stream: STREAM,
        decider: setup,
        command: { type: 'CompleteSetup', userId },
        actor,
        async guard(tx) {
          await tx.deleteFrom('setup_tokens').execute()
        },
      })
      return userId
    },
  }

  async function begunWith(secret: string) {
    const begun = await db
      .selectFrom('setup_tokens')
      .where('token_sha256', '=', sha256(secret))
      .selectAll()
      .executeTakeFirst()
    if (begun === undefined) throw setupRejected('SETUP_TOKEN_WRONG')
    return begun
  }
}

function begunAs(name: string): Rejection {
  const message = `set-up was begun for the user name "${name}"; use it again`
  return new Rejection('SETUP_BEGUN', 'failed_precondition', message)
}
