import { hash } from 'node:crypto'
import type { Snapshot } from '@postern/access'
import type { KnownToken } from '@postern/replica'
import type { FrontHead } from '../front/front-interface.ts'
import { type Refusal, refusals, tokenExpired } from './refusal.ts'

/** Whom a request is from. */
export type Caller = {
  readonly tokenSha256: string
  readonly tokenId: string
  readonly tokenExpiresAtMs: number
  readonly userId: string
  readonly userName: string
  /** Names of the groups. */
  readonly groups: readonly string[]
}

export type TokenView = {
  snapshot(): Snapshot
  tokenBySha256(sha256: string): KnownToken | undefined
}

const TOKEN = /^ptk_[A-Za-z0-9_-]{43}$/

export function authenticate(
  { lines, memory }: Pick<FrontHead, 'lines' | 'memory'>,
  view: TokenView,
  at: Date,
): Caller | { refusal: Refusal } {
  const { presented } = lines
  if (presented.kind === 'none') return { refusal: refusals.noToken }
  if (presented.kind === 'malformed') return { refusal: refusals.malformedToken }
  // Most connections are one user's.
  if (memory.token?.text === presented.token) return callerOf(memory.token.sha256, view, at)
  if (!TOKEN.test(presented.token)) return { refusal: refusals.foreignToken }
  // A token is 256 random bits: a fast hash is enough, and the look-up tells nothing by its time.
  const sha256 = hash('sha256', presented.token)
  memory.token = { text: presented.token, sha256 }
  return callerOf(sha256, view, at)
}

/** By what a token is known as: a new object whenever anything about it, or about anybody, has changed. */
const callers = new WeakMap<KnownToken, { snapshot: Snapshot; caller: Caller }>()

/** What a token stands for now. Asked again for everything that still runs under it. */
export function callerOf(
  tokenSha256: string,
  view: TokenView,
  at: Date,
): Caller | { refusal: Refusal } {
  const token = view.tokenBySha256(tokenSha256)
  if (token === undefined) return { refusal: refusals.unknownToken }
  const snapshot = view.snapshot()
  const known = callers.get(token)
  if (known?.snapshot === snapshot && known.caller.tokenExpiresAtMs > at.getTime()) {
    return known.caller
  }
  const tokenExpiresAtMs = Date.parse(token.expiresAt)
  // Written so that a moment that cannot be read counts as past.
  if (!(tokenExpiresAtMs > at.getTime())) return { refusal: tokenExpired(token.expiresAt) }
  const { users, groups } = snapshot
  const user = users.get(token.userId)
  if (user === undefined) return { refusal: refusals.unknownToken }
  if (user.disabled) return { refusal: refusals.userDisabled }
  const caller: Caller = {
    tokenSha256,
    tokenId: token.tokenId,
    tokenExpiresAtMs,
    userId: user.id,
    userName: user.name,
    groups: user.groupIds.flatMap((id) => groups.get(id)?.name ?? []),
  }
  callers.set(token, { snapshot, caller })
  return caller
}
