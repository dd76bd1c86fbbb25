import { rejections } from '@postern/errors'
import type { Decider } from '@postern/eventing'
import { checkText } from '../naming/name-rules.ts'

/** A bearer token of one user. The token itself is shown once; the log knows only its SHA-256. */
export type Token =
  | { status: 'absent' }
  | { status: 'active' | 'revoked'; tokenId: string; userId: string; expiresAt: string }

export type TokenCommand =
  | {
      type: 'IssueToken'
      tokenId: string
      userId: string
      tokenSha256: Buffer
      description: string
      /** The longest that is allowed when absent. */
      lifetimeSeconds?: number | undefined
      /** The token that asks for this one ends then; what it makes does not outlive it. */
      endsWith?: Date | undefined
    }
  | { type: 'RevokeToken'; reason: string }

export type TokenEvent =
  | {
      type: 'TokenIssued'
      tokenId: string
      userId: string
      tokenSha256: Buffer
      description: string
      expiresAt: string
    }
  | { type: 'TokenRevoked'; tokenId: string; reason: string }

const TOKEN_LIFETIME_SECONDS_MAX = 12 * 60 * 60

export const tokenRejected = rejections({
  TOKEN_EXISTS: ['already_exists', 'this token was already issued'],
  TOKEN_NOT_FOUND: ['not_found', 'there is no such token'],
  TOKEN_LIFETIME_OUT_OF_RANGE: [
    'invalid_argument',
    'a token lives from one second to twelve hours',
  ],
  TOO_MANY_TOKENS: [
    'resource_exhausted',
    'the user has 1000 tokens that are neither expired nor revoked; revoke some first',
  ],
  SERVICE_TOKENS_BY_ADMINISTRATORS: [
    'permission_denied',
    'tokens of a service identity are issued by an administrator',
  ],
  NOT_SIGNED_IN: ['unauthenticated', 'the token is unknown, expired or revoked; sign in again'],
})

export const token: Decider<Token, TokenCommand, TokenEvent> = {
  initial: { status: 'absent' },

  decide(command, state, { now }) {
    switch (command.type) {
      case 'IssueToken': {
        const { tokenId, userId, tokenSha256, description } = command
        const lifetimeSeconds = command.lifetimeSeconds ?? TOKEN_LIFETIME_SECONDS_MAX
        if (state.status !== 'absent') throw tokenRejected('TOKEN_EXISTS')
        if (!(lifetimeSeconds >= 1 && lifetimeSeconds <= TOKEN_LIFETIME_SECONDS_MAX)) {
          throw tokenRejected('TOKEN_LIFETIME_OUT_OF_RANGE')
        }
        checkText(description)
        const asked = now.getTime() + lifetimeSeconds * 1000
        const expires = Math.min(asked, command.endsWith?.getTime() ?? asked)
        const expiresAt = new Date(expires).toISOString()
        return [{ type: 'TokenIssued', tokenId, userId, tokenSha256, description, expiresAt }]
      }
      case 'RevokeToken': {
        checkText(command.reason)
        if (state.status === 'absent') throw tokenRejected('TOKEN_NOT_FOUND')
        // A retried revocation, or one that comes after the end, already has what it wants.
        if (state.status === 'revoked' || now >= new Date(state.expiresAt)) return []
        return [{ type: 'TokenRevoked', tokenId: state.tokenId, reason: command.reason }]
      }
    }
  },

  evolve(state, event) {
    switch (event.type) {
      case 'TokenIssued': {
        const { tokenId, userId, expiresAt } = event
        return { status: 'active', tokenId, userId, expiresAt }
      }
      case 'TokenRevoked':
        return state.status === 'absent' ? state : { ...state, status: 'revoked' }
    }
  },
}
