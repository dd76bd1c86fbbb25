import { rejections } from '@postern/errors'
import type { Decider } from '@postern/eventing'

/** A secret that adds one agent to one cluster, once. */
export type JoinToken =
  | { status: 'absent' }
  | { status: 'issued' | 'redeemed'; tokenId: string; expiresAt: Date }

export type JoinTokenCommand =
  | {
      type: 'IssueJoinToken'
      tokenId: string
      clusterId: string
      tokenSha256: Buffer
      expiresAt: string
    }
  | { type: 'RedeemJoinToken'; agentId: string }

export type JoinTokenEvent =
  | {
      type: 'JoinTokenIssued'
      tokenId: string
      clusterId: string
      tokenSha256: Buffer
      expiresAt: string
    }
  | { type: 'JoinTokenRedeemed'; tokenId: string; agentId: string }

/** One answer for every reason: a wrong guess learns nothing. */
export const joinTokenRejected = rejections({
  JOIN_TOKEN_INVALID: [
    'permission_denied',
    'the join token is unknown, expired or already used; make a new manifest with "postern cluster join"',
  ],
  JOIN_TOKEN_EXISTS: ['already_exists', 'the join token was issued before'],
})

export const joinToken: Decider<JoinToken, JoinTokenCommand, JoinTokenEvent> = {
  initial: { status: 'absent' },

  decide(command, state, { now }) {
    switch (command.type) {
      case 'IssueJoinToken': {
        if (state.status !== 'absent') throw joinTokenRejected('JOIN_TOKEN_EXISTS')
        const { tokenId, clusterId, tokenSha256, expiresAt } = command
        return [{ type: 'JoinTokenIssued', tokenId, clusterId, tokenSha256, expiresAt }]
      }
      case 'RedeemJoinToken':
        if (state.status !== 'issued' || now >= state.expiresAt) {
          throw joinTokenRejected('JOIN_TOKEN_INVALID')
        }
        return [{ type: 'JoinTokenRedeemed', tokenId: state.tokenId, agentId: command.agentId }]
    }
  },

  evolve(state, event) {
    switch (event.type) {
      case 'JoinTokenIssued': {
        const { tokenId, expiresAt } = event
        return { status: 'issued', tokenId, expiresAt: new Date(expiresAt) }
      }
      case 'JoinTokenRedeemed':
        return state.status === 'absent' ? state : { ...state, status: 'redeemed' }
    }
  },
}
