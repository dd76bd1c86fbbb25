import { PlatformRole } from '@postern/proto/postern/identity/events/v1/events'
import {
  type AuthenticateTokenResponse,
  TokenServiceDefinition,
} from '@postern/proto/postern/identity/v1/token'
import { ClientError, Status } from 'nice-grpc-common'
import type { EndUser } from './call.ts'
import type { AuthenticateUser } from './call-middleware.ts'
import type { RpcClients } from './clients.ts'

const CACHE_MS = 1_000
const CACHED_MAX = 10_000

/**
 * Asks identity whose a token is. A yes is remembered for one second from when it was asked for, so
 * that a revocation bites within that; a no is never remembered.
 */
export function endUserAuthenticator(
  clients: RpcClients,
  monotonicMs: () => number = () => performance.now(),
): AuthenticateUser {
  const tokens = clients.of(TokenServiceDefinition, 'identity')
  return createCachedAuthenticator(async (tokenSha256) => {
    try {
      return toEndUser(await tokens.authenticateToken({ tokenSha256 }))
    } catch (error) {
      if (error instanceof ClientError && error.code === Status.UNAUTHENTICATED) return undefined
      throw error
    }
  }, monotonicMs)
}

/** Keeps the answers of `ask`, as above. */
export function createCachedAuthenticator(
  ask: AuthenticateUser,
  monotonicMs: () => number,
): AuthenticateUser {
  const cached = new Map<string, { askedAt: number; user: Promise<EndUser | undefined> }>()

  return async (tokenSha256) => {
    const key = tokenSha256.toString('base64')
    const askedAt = monotonicMs()
    const known = cached.get(key)
    if (known !== undefined && askedAt - known.askedAt < CACHE_MS) return await known.user
    const entry = { askedAt, user: ask(tokenSha256) }
    remember(key, entry)
    const forget = () => {
      if (cached.get(key) === entry) cached.delete(key)
    }
    try {
      const user = await entry.user
      if (user === undefined) forget()
      return user
    } catch (error) {
      forget()
      throw error
    }
  }

  function remember(key: string, entry: { askedAt: number; user: Promise<EndUser | undefined> }) {
    cached.delete(key)
    const [oldest] = cached.keys()
    if (cached.size >= CACHED_MAX && oldest !== undefined) cached.delete(oldest)
    cached.set(key, entry)
  }
}

function toEndUser(response: AuthenticateTokenResponse): EndUser {
  const { userId, userName, groupIds, tokenId } = response
  return { userId, userName, groupIds, tokenId, platformRole: toRole(response.platformRole) }
}

function toRole(role: PlatformRole): EndUser['platformRole'] {
  switch (role) {
    case PlatformRole.PLATFORM_ROLE_ADMINISTRATOR:
      return 'administrator'
    case PlatformRole.PLATFORM_ROLE_AUDITOR:
      return 'auditor'
    case PlatformRole.PLATFORM_ROLE_UNSPECIFIED:
    case PlatformRole.UNRECOGNIZED:
      return 'none'
  }
}
