import { parseId } from '@postern/ids'
import type { Duration } from '@postern/proto/google/protobuf/duration'
import { PlatformRole } from '@postern/proto/postern/identity/events/v1/events'
import { TokenServiceDefinition } from '@postern/proto/postern/identity/v1/token'
import { type AuthenticateUser, type Call, type EndUser, parsePage, register } from '@postern/rpc'
import { ADMINISTRATOR, AUDITOR } from '../group/group.ts'
import { ownRejected } from '../naming/own-rules.ts'
import type { PasswordHasher } from '../password/password-hasher.ts'
import { checkPassword } from '../password/password-rules.ts'
import type { SignIn } from '../password/sign-in.ts'
import type { SetupRepository } from '../setup/setup-repository.ts'
import type { Signals } from '../signals.ts'
import { SERVICE } from '../user/user.ts'
import { endUserOf, resolveOwnOrPermitted } from '../user/user-reference.ts'
import type { UserRepository } from '../user/user-repository.ts'
import { tokenRejected } from './token.ts'
import type { TokenRepository } from './token-repository.ts'

type Needs = {
  tokens: TokenRepository
  users: UserRepository
  setups: SetupRepository
  signIn: SignIn
  hasher: PasswordHasher
  signals: Signals
}

export function createTokenRpc({ tokens, users, setups, signIn, hasher, signals }: Needs) {
  const shown = ({ secret, token }: Awaited<ReturnType<TokenRepository['issue']>>) => ({
    secret,
    token: toToken(token),
  })

  return register(TokenServiceDefinition, {
    async setUp(request, { call }) {
      await setups.check(request.setupToken)
      checkPassword(request.password)
      const passwordHash = await hasher.hash(request.password)
      const { setupToken: secret, userName } = request
      const userId = await setups.complete({ secret, userName, passwordHash }, call.actor)
      signals.setupCompleted({ userId })
      const order = { userId, description: 'set-up', proof: asPassword(passwordHash) }
      return shown(await tokens.issue(order, by(userId, call)))
    },

    async login(request, { call }) {
      const { userId, passwordHash } = await signIn(request.userName, request.password)
      const order = {
        userId,
        description: request.description,
        lifetimeSeconds: toSeconds(request.lifetime),
        proof: asPassword(passwordHash),
      }
      return shown(await tokens.issue(order, by(userId, call)))
    },

    async logout(_request, { call }) {
      const { tokenId } = endUserOf(call)
      await tokens.revoke(parseId('token', tokenId), 'logout', call.actor)
      return {}
    },

    async whoAmI(_request, { call }) {
      const { userId, userName, tokenId, platformRole } = endUserOf(call)
      const row = await users.find(userId)
      const token = await tokens.find(tokenId)
      if (row === undefined || token === undefined) throw tokenRejected('NOT_SIGNED_IN')
      return {
        userId,
        userName,
        displayName: row.display_name,
        groups: (await users.groupNames([userId])).get(userId) ?? [],
        platformRole: fromEndUserRole(platformRole),
        tokenExpiresAt: token.expires_at.toISOString(),
      }
    },

    async issueToken(request, { call }) {
      const permission = 'identity.tokens.issue'
      const userId = await resolveOwnOrPermitted(users, call, request.user, permission)
      const caller = endUserOf(call)
      const order = {
        userId,
        description: request.description,
        lifetimeSeconds: toSeconds(request.lifetime),
      }
      if (userId !== caller.userId) {
        return shown(await tokens.issue({ ...order, proof: { type: 'permission' } }, call.actor))
      }
      const isService = (await users.find(userId))?.kind === SERVICE
      if (isService && !call.can(permission)) {
        throw tokenRejected('SERVICE_TOKENS_BY_ADMINISTRATORS')
      }
      const proof = { type: 'token' as const, tokenId: caller.tokenId }
      return shown(await tokens.issue({ ...order, proof }, call.actor))
    },

    async listTokens(request, { call }) {
      const permission = 'identity.tokens.list'
      const page = parsePage(request)
      if (request.user === '*' && !call.can(permission)) throw ownRejected('ONLY_YOUR_OWN')
      const userId =
        request.user === '*'
          ? undefined
          : await resolveOwnOrPermitted(users, call, request.user, permission)
      const { rows, nextPageToken } = await tokens.list(userId, page)
      return { tokens: rows.map(toToken), nextPageToken }
    },

    async revokeToken(request, { call }) {
      const tokenId = parseId('token', request.tokenId)
      if (!call.can('identity.tokens.revoke')) {
        const owner = await tokens.ownerOf(tokenId)
        if (owner !== endUserOf(call).userId) throw tokenRejected('TOKEN_NOT_FOUND')
      }
      await tokens.revoke(tokenId, request.reason, call.actor)
      return {}
    },

    async authenticateToken(request) {
      const found = await tokens.authenticate(request.tokenSha256)
      if (found === undefined) throw tokenRejected('NOT_SIGNED_IN')
      return {
        tokenId: found.token_id,
        userId: found.user_id,
        userName: found.user_name,
        groupIds: found.groupIds,
        platformRole: found.platformRole,
        expiresAt: found.expires_at.toISOString(),
      }
    },
  })
}

/** What other services ask `AuthenticateToken` for, without the way around. */
export function createAuthenticateUser(tokens: TokenRepository): AuthenticateUser {
  return async (tokenSha256) => {
    const found = await tokens.authenticate(tokenSha256)
    if (found === undefined) return undefined
    return {
      userId: found.user_id,
      userName: found.user_name,
      groupIds: found.groupIds,
      platformRole:
        found.platformRole === ADMINISTRATOR
          ? 'administrator'
          : found.platformRole === AUDITOR
            ? 'auditor'
            : 'none',
      tokenId: found.token_id,
    }
  }
}

type Row = NonNullable<Awaited<ReturnType<TokenRepository['find']>>>

function toToken(row: Row) {
  return {
    id: row.token_id,
    userId: row.user_id,
    userName: row.user_name,
    description: row.description,
    issuedAt: row.issued_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
  }
}

const asPassword = (passwordHash: string) => ({ type: 'password' as const, passwordHash })

/** Whoever has just shown the right password acts for themselves. */
const by = (userId: string, call: Call) => ({ ...call.actor, by: `user:${userId}` })

function toSeconds(duration: Duration | undefined): number | undefined {
  return duration === undefined ? undefined : Number(duration.seconds) + duration.nanos / 1e9
}

function fromEndUserRole(role: EndUser['platformRole']): PlatformRole {
  switch (role) {
    case 'administrator':
      return PlatformRole.PLATFORM_ROLE_ADMINISTRATOR
    case 'auditor':
      return PlatformRole.PLATFORM_ROLE_AUDITOR
    case 'none':
      return PlatformRole.PLATFORM_ROLE_UNSPECIFIED
  }
}
