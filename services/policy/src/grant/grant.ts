import { rejections } from '@postern/errors'
import type { Decider } from '@postern/eventing'
import { isSame } from '../naming/equality-rules.ts'
import { checkName, checkText } from '../naming/name-rules.ts'
import { checkNamespaceGlob, checkSelector, type LabelSelector } from './selector-rules.ts'

/** Subjects may use a role on clusters, in namespaces, for a time, until it is revoked. */
export type Grant =
  | { status: 'absent' }
  | { status: 'revoked' }
  | { status: 'active'; grantId: string; name: string; terms: GrantTerms }

export type GrantTerms = {
  subjects: { kind: string; id: string }[]
  roleId: string
  clusters: { clusterIds: string[]; labels?: LabelSelector | undefined }
  namespaces: { all: boolean; names: string[]; labels?: LabelSelector | undefined }
  notBefore?: string | undefined
  notAfter?: string | undefined
}

export type GrantCommand =
  | { type: 'CreateGrant'; grantId: string; name: string; terms: GrantTerms }
  | { type: 'ChangeGrant'; terms: GrantTerms }
  | { type: 'RevokeGrant'; reason: string }

export type GrantEvent =
  | { type: 'GrantCreated'; grantId: string; name: string; terms: GrantTerms }
  | { type: 'GrantChanged'; grantId: string; terms: GrantTerms }
  | { type: 'GrantRevoked'; grantId: string; reason: string }

const SUBJECTS_MAX = 100
const ENTRIES_MAX = 100

export const grantRejected = rejections({
  GRANT_EXISTS: ['already_exists', 'there is a grant with this name'],
  GRANT_NOT_FOUND: ['not_found', 'there is no such grant'],
  GRANT_REVOKED: ['failed_precondition', 'the grant was revoked; create a new one'],
  SUBJECTS_COUNT: ['invalid_argument', 'a grant has 1 to 100 subjects, each once'],
  CLUSTERS_MISSING: [
    'invalid_argument',
    'a grant names clusters or has a cluster selector; an empty selector selects every cluster',
  ],
  CLUSTERS_COUNT: ['invalid_argument', 'a grant names at most 100 clusters, each once'],
  NAMESPACES_MISSING: [
    'invalid_argument',
    'a grant says where it holds: all, names of namespaces, or a label selector',
  ],
  NAMESPACES_MIXED: [
    'invalid_argument',
    'a grant for all namespaces names no namespaces or labels',
  ],
  NAMESPACES_COUNT: ['invalid_argument', 'a grant names at most 100 namespaces, each once'],
  ENDS_BEFORE_START: ['invalid_argument', 'a grant ends after it begins'],
  ENDS_IN_PAST: ['invalid_argument', 'the end of a grant lies in the future'],
})

export const grant: Decider<Grant, GrantCommand, GrantEvent> = {
  initial: { status: 'absent' },

  decide(command, state, { now }) {
    switch (command.type) {
      case 'CreateGrant': {
        const { grantId, name, terms } = command
        if (state.status !== 'absent') throw grantRejected('GRANT_EXISTS')
        checkName(name)
        checkTerms(terms, now)
        return [{ type: 'GrantCreated', grantId, name, terms }]
      }
      case 'ChangeGrant': {
        const { terms } = command
        if (state.status === 'absent') throw grantRejected('GRANT_NOT_FOUND')
        if (state.status === 'revoked') throw grantRejected('GRANT_REVOKED')
        // Applying a file again changes nothing, even when the grant has ended since.
        if (isSame(terms, state.terms)) return []
        checkTerms(terms, now)
        return [{ type: 'GrantChanged', grantId: state.grantId, terms }]
      }
      case 'RevokeGrant':
        checkText(command.reason)
        if (state.status === 'absent') throw grantRejected('GRANT_NOT_FOUND')
        // A retried or raced revocation already has what it wants.
        if (state.status === 'revoked') return []
        return [{ type: 'GrantRevoked', grantId: state.grantId, reason: command.reason }]
    }
  },

  evolve(state, event) {
    switch (event.type) {
      case 'GrantCreated': {
        const { grantId, name, terms } = event
        return { status: 'active', grantId, name, terms }
      }
      case 'GrantChanged':
        return state.status === 'active' ? { ...state, terms: event.terms } : state
      case 'GrantRevoked':
        return { status: 'revoked' }
    }
  },
}

function checkTerms(terms: GrantTerms, now: Date): void {
  const { subjects, clusters, namespaces } = terms
  const who = subjects.map(({ kind, id }) => `${kind}:${id}`)
  if (who.length === 0 || hasTooMany(who, SUBJECTS_MAX)) throw grantRejected('SUBJECTS_COUNT')

  if (clusters.clusterIds.length === 0 && !clusters.labels) throw grantRejected('CLUSTERS_MISSING')
  if (hasTooMany(clusters.clusterIds, ENTRIES_MAX)) throw grantRejected('CLUSTERS_COUNT')
  if (clusters.labels) checkSelector(clusters.labels)

  const some = namespaces.names.length > 0 || namespaces.labels !== undefined
  if (!namespaces.all && !some) throw grantRejected('NAMESPACES_MISSING')
  if (namespaces.all && some) throw grantRejected('NAMESPACES_MIXED')
  if (hasTooMany(namespaces.names, ENTRIES_MAX)) throw grantRejected('NAMESPACES_COUNT')
  for (const glob of namespaces.names) checkNamespaceGlob(glob)
  if (namespaces.labels) checkSelector(namespaces.labels)

  const { notBefore, notAfter } = terms
  if (notAfter === undefined) return
  if (notBefore !== undefined && new Date(notAfter) <= new Date(notBefore)) {
    throw grantRejected('ENDS_BEFORE_START')
  }
  if (new Date(notAfter) <= now) throw grantRejected('ENDS_IN_PAST')
}

const hasTooMany = (entries: readonly string[], max: number) =>
  entries.length > max || new Set(entries).size !== entries.length
