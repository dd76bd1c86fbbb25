import { rejections } from '@postern/errors'
import type { Decider } from '@postern/eventing'

/** One user's use of one cluster, and the account that it needs there. */
export type Session =
  | { status: 'absent' }
  | {
      status: 'open' | 'ended' | 'removed'
      sessionId: string
      userId: string
      clusterId: string
      /** The version of the account that is wanted. */
      version: number
      bindings: readonly Binding[]
      /** The version that an agent has made; 0 for none. */
      provisioned: number
      /** The agent's last complaint about the wanted version. */
      problem: string
      /** How many there were about that version. */
      complaints: number
    }

/** One role that the account holds: in the namespaces, or cluster-wide where none is named. */
export type Binding = { clusterRole: string; namespaces: string[] }

/** The numbers of `postern.session.events.v1.EndReason`. */
export const END_REASONS = {
  idle: 1,
  expired: 2,
  logout: 3,
  revoked: 4,
  grantEnded: 5,
  userDisabled: 6,
  clusterRemoved: 7,
} as const
/** Also what another version may have written: unspecified, or unknown here. */
export type EndReason = (typeof END_REASONS)[keyof typeof END_REASONS] | 0 | -1

export type SessionCommand =
  | {
      type: 'OpenSession'
      sessionId: string
      userId: string
      userName: string
      clusterId: string
      account: string
      expiresAt: string
      bindings: readonly Binding[]
    }
  | { type: 'DesireAccount'; bindings: readonly Binding[] }
  | { type: 'RecordProvisioned'; version: number; agentId: string }
  | { type: 'RecordFailed'; version: number; agentId: string; reason: string }
  | { type: 'EndSession'; reason: EndReason }
  | { type: 'RecordRemoved'; agentId: string }

export type SessionEvent =
  | {
      type: 'SessionOpened'
      sessionId: string
      userId: string
      userName: string
      clusterId: string
      account: string
      expiresAt: string
    }
  | { type: 'AccountDesired'; sessionId: string; version: number; bindings: Binding[] }
  | { type: 'AccountProvisioned'; sessionId: string; version: number; agentId: string }
  | {
      type: 'AccountFailed'
      sessionId: string
      version: number
      agentId: string
      reason: string
    }
  | { type: 'SessionEnded'; sessionId: string; reason: EndReason }
  | { type: 'AccountRemoved'; sessionId: string; agentId: string }

const PROBLEM_CHARACTERS_MAX = 500
const COMPLAINTS_MAX = 20

export const sessionRejected = rejections({
  SESSION_EXISTS: ['already_exists', 'the user already has a session on this cluster'],
  SESSION_NOT_FOUND: ['not_found', 'there is no such session'],
  SESSION_ENDED: ['failed_precondition', 'the session has ended'],
  ACCOUNT_STILL_WANTED: [
    'failed_precondition',
    'the account is still wanted: only the account of an ended session is removed',
  ],
})

export const session: Decider<Session, SessionCommand, SessionEvent> = {
  initial: { status: 'absent' },

  decide(command, state) {
    if (command.type === 'OpenSession') {
      if (state.status !== 'absent') throw sessionRejected('SESSION_EXISTS')
      const { type: _, bindings, ...opened } = command
      const { sessionId } = command
      return [
        { type: 'SessionOpened', ...opened },
        { type: 'AccountDesired', sessionId, version: 1, bindings: copyOf(bindings) },
      ]
    }
    if (state.status === 'absent') throw sessionRejected('SESSION_NOT_FOUND')
    const { sessionId } = state
    switch (command.type) {
      case 'DesireAccount':
        if (state.status !== 'open') throw sessionRejected('SESSION_ENDED')
        if (isSame(command.bindings, state.bindings)) return []
        return [
          {
            type: 'AccountDesired',
            sessionId,
            version: state.version + 1,
            bindings: copyOf(command.bindings),
          },
        ]
      case 'RecordProvisioned': {
        // A report about a version that was replaced, or that another agent made first, is late.
        const { version, agentId } = command
        if (state.status !== 'open' || version !== state.version) return []
        if (version <= state.provisioned) return []
        return [{ type: 'AccountProvisioned', sessionId, version, agentId }]
      }
      case 'RecordFailed': {
        const { version, agentId } = command
        const reason = toProblem(command.reason)
        if (state.status !== 'open' || version !== state.version) return []
        if (version <= state.provisioned || reason === state.problem) return []
        // An agent whose words differ at every attempt must not fill the log.
        if (state.complaints >= COMPLAINTS_MAX) return []
        return [{ type: 'AccountFailed', sessionId, version, agentId, reason }]
      }
      case 'EndSession':
        if (state.status !== 'open') return []
        return [{ type: 'SessionEnded', sessionId, reason: command.reason }]
      case 'RecordRemoved':
        if (state.status === 'open') throw sessionRejected('ACCOUNT_STILL_WANTED')
        if (state.status === 'removed') return []
        return [{ type: 'AccountRemoved', sessionId, agentId: command.agentId }]
    }
  },

  evolve(state, event) {
    if (event.type === 'SessionOpened') {
      const { sessionId, userId, clusterId } = event
      const nothing = { version: 0, bindings: [], provisioned: 0, problem: '', complaints: 0 }
      return { status: 'open', sessionId, userId, clusterId, ...nothing }
    }
    if (state.status === 'absent') return state
    switch (event.type) {
      case 'AccountDesired':
        return {
          ...state,
          version: event.version,
          bindings: event.bindings,
          problem: '',
          complaints: 0,
        }
      case 'AccountProvisioned':
        return { ...state, provisioned: event.version, problem: '' }
      case 'AccountFailed':
        return { ...state, problem: event.reason, complaints: state.complaints + 1 }
      case 'SessionEnded':
        return { ...state, status: 'ended' }
      case 'AccountRemoved':
        return { ...state, status: 'removed' }
    }
  },
}

/** Both are sorted by whoever computes them, so the same bindings are the same text. */
function isSame(left: readonly Binding[], right: readonly Binding[]): boolean {
  return JSON.stringify(copyOf(left)) === JSON.stringify(copyOf(right))
}

/** An agent's words as one line that every reader and the database can take. */
function toProblem(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim()
  // A pair of surrogates may have been cut in two, which UTF-8 cannot carry.
  const short = line.slice(0, PROBLEM_CHARACTERS_MAX).replaceAll(/\p{Cs}/gu, '')
  return short === '' ? 'the agent did not say why' : short
}

function copyOf(bindings: readonly Binding[]): Binding[] {
  return bindings.map(({ clusterRole, namespaces }) => ({
    clusterRole,
    namespaces: [...namespaces],
  }))
}
