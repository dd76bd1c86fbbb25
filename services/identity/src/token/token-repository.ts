import type { Actor, EventStore } from '@postern/eventing'
import { type Id, newId } from '@postern/ids'
import { newSecret, sha256 } from '@postern/pki'
import { cutPage, type Page } from '@postern/rpc'
import type { Kysely, Transaction } from 'kysely'
import type { IdentityDatabase } from '../database.ts'
import { ADMINISTRATOR, AUDITOR, NO_ROLE, type PlatformRole } from '../group/group.ts'
import type { IdentityEvent } from '../identity-event.ts'
import { userRejected } from '../user/user.ts'
import { refuseUnlessPassword } from '../user/user-repository.ts'
import { token, tokenRejected } from './token.ts'

export type TokenRepository = ReturnType<typeof createTokenRepository>
type Db = Kysely<IdentityDatabase>
type Needs = {
  store: EventStore<IdentityDatabase, IdentityEvent>
  db: Db
  now: () => Date
}

export type TokenOrder = {
  userId: string
  description: string
  lifetimeSeconds?: number | undefined
  /** What entitles to the token, checked again in the transaction that issues it. */
  proof:
    | { type: 'password'; passwordHash: string }
    | { type: 'token'; tokenId: string }
    | { type: 'permission' }
}

const TOKENS_PER_USER_MAX = 1000

export function createTokenRepository({ store, db, now }: Needs) {
  const live = () =>
    db
      .selectFrom('tokens')
      .innerJoin('users', 'users.user_id', 'tokens.user_id')
      .where('users.disabled', '=', false)
      .where('tokens.expires_at', '>', now())

  const tokens = () =>
    live().select([
      'tokens.token_id',
      'tokens.user_id',
      'users.name as user_name',
      'tokens.description',
      'tokens.issued_at',
      'tokens.expires_at',
    ])

  const find = async (tokenId: string) =>
    await tokens().where('tokens.token_id', '=', tokenId).executeTakeFirst()

  return {
    /** Answers the secret, which is kept nowhere, and the token as it is listed. */
    async issue({ proof, ...order }: TokenOrder, actor: Actor) {
      const tokenId = newId('token')
      const secret = newSecret('ptk_')
      const parent = proof.type === 'token' ? await find(proof.tokenId) : undefined
      if (proof.type === 'token' && parent === undefined) throw tokenRejected('NOT_SIGNED_IN')
      await store.execute({
        stream: `token-${tokenId}`,
        decider: token,
        command: {
          type: 'IssueToken',
          ...order,
          tokenId,
          tokenSha256: sha256(secret),
          endsWith: parent?.expires_at,
        },
        actor,
        async guard(tx) {
          await refuseUnlessEnabled(tx, order.userId)
          if (proof.type === 'password') {
            await refuseUnlessPassword(tx, order.userId, proof.passwordHash)
          }
          if (proof.type === 'token') await refuseUnlessLive(tx, proof.tokenId)
          await refuseTooMany(tx, order.userId, now())
        },
      })
      const issued = await find(tokenId)
      // It was revoked between the two statements, or the clock ran past a very short life.
      if (issued === undefined) throw tokenRejected('NOT_SIGNED_IN')
      return { secret, token: issued }
    },

    async revoke(tokenId: Id<'token'>, reason: string, actor: Actor) {
      const command = { type: 'RevokeToken' as const, reason }
      await store.execute({ stream: `token-${tokenId}`, decider: token, command, actor })
    },

    /** Whose token it is or was; `undefined` if there never was one. */
    async ownerOf(tokenId: Id<'token'>): Promise<string | undefined> {
      const { state } = await store.load(`token-${tokenId}`, token)
      return state.status === 'absent' ? undefined : state.userId
    },

    find,

    /** Tokens that work now, of one user or of everyone, by id. */
    async list(userId: string | undefined, page: Page) {
      const rows = await tokens()
        .where('tokens.token_id', '>', page.after)
        .$if(userId !== undefined, (query) => query.where('tokens.user_id', '=', userId ?? ''))
        .orderBy('tokens.token_id')
        .limit(page.limit + 1)
        .execute()
      return cutPage(rows, page, ({ token_id }) => token_id)
    },

    /** Whose token it is now, by its SHA-256; `undefined` if nobody's. */
    async authenticate(tokenSha256: Uint8Array) {
      const row = await tokens()
        .where('tokens.token_sha256', '=', Buffer.from(tokenSha256))
        .executeTakeFirst()
      if (row === undefined) return undefined
      return { ...row, ...(await rights(db, row.user_id)) }
    },
  }
}

/** Ids of the user's groups, and the most that one of them gives. */
async function rights(db: Db, userId: string) {
  const groups = await db
    .selectFrom('group_members')
    .innerJoin('groups', 'groups.group_id', 'group_members.group_id')
    .where('group_members.user_id', '=', userId)
    .select(['groups.group_id', 'groups.platform_role'])
    .orderBy('groups.group_id')
    .execute()
  const roles = new Set(groups.map(({ platform_role }) => platform_role))
  const highestFirst: readonly PlatformRole[] = [ADMINISTRATOR, AUDITOR]
  const platformRole = highestFirst.find((role) => roles.has(role)) ?? NO_ROLE
  return { groupIds: groups.map(({ group_id }) => group_id), platformRole }
}

async function refuseUnlessEnabled(db: Transaction<IdentityDatabase>, userId: string) {
  const query = db.selectFrom('users').where('user_id', '=', userId).select('disabled')
  const row = await query.executeTakeFirst()
  if (row === undefined) throw userRejected('USER_NOT_FOUND')
  if (row.disabled) throw userRejected('USER_DISABLED')
}

async function refuseUnlessLive(db: Transaction<IdentityDatabase>, tokenId: string) {
  const query = db.selectFrom('tokens').where('token_id', '=', tokenId).select('token_id')
  if ((await query.executeTakeFirst()) === undefined) throw tokenRejected('NOT_SIGNED_IN')
}

async function refuseTooMany(db: Transaction<IdentityDatabase>, userId: string, at: Date) {
  const { count } = await db
    .selectFrom('tokens')
    .where('user_id', '=', userId)
    .where('expires_at', '>', at)
    .select((row) => row.fn.countAll<bigint>().as('count'))
    .executeTakeFirstOrThrow()
  if (Number(count) >= TOKENS_PER_USER_MAX) throw tokenRejected('TOO_MANY_TOKENS')
}
