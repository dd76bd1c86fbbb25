import { rejections } from '@postern/errors'
import { newId } from '@postern/ids'
import { GrantServiceDefinition, type Terms } from '@postern/proto/postern/policy/v1/grant'
import { parsePage, register } from '@postern/rpc'
import type { KnownParties } from '../adapters/known-parties.ts'
import type { AnswerQuestion } from '../explain/answer-question.ts'
import type { RoleRepository } from '../role/role-repository.ts'
import { type GrantTerms, grantRejected } from './grant.ts'
import type { GrantRepository } from './grant-repository.ts'

type Needs = {
  grants: GrantRepository
  roles: RoleRepository
  parties: KnownParties
  answerQuestion: AnswerQuestion
}

const rejected = rejections({
  TERMS_MISSING: ['invalid_argument', 'a grant has terms: subjects, role, clusters, namespaces'],
  INVALID_SUBJECT: [
    'invalid_argument',
    'a subject is "user:" or "group:" and a name or id; a service identity is a user',
  ],
})

const REFERENCES_MAX = 100

export function createGrantRpc({ grants, roles, parties, answerQuestion }: Needs) {
  async function parseTerms(terms: Terms | undefined): Promise<GrantTerms> {
    if (terms === undefined) throw rejected('TERMS_MISSING')
    const { clusterSelector, namespaces, notBefore, notAfter } = terms
    // Bounded before each is looked up; counted properly where the grant is decided.
    if (terms.subjects.length > REFERENCES_MAX) throw grantRejected('SUBJECTS_COUNT')
    if (terms.clusters.length > REFERENCES_MAX) throw grantRejected('CLUSTERS_COUNT')
    return {
      subjects: await Promise.all(terms.subjects.map(parseSubject)),
      roleId: await roles.resolve(terms.role),
      clusters: {
        clusterIds: await Promise.all(
          terms.clusters.map((cluster) => parties.resolve('cluster', cluster)),
        ),
        labels: clusterSelector,
      },
      namespaces: namespaces ?? { all: false, names: [] },
      notBefore,
      notAfter,
    }
  }

  async function parseSubject(subject: string) {
    const [, kind, reference] = /^(user|group):(.+)$/s.exec(subject) ?? []
    if ((kind !== 'user' && kind !== 'group') || reference === undefined) {
      throw rejected('INVALID_SUBJECT')
    }
    return { kind, id: await parties.resolve(kind, reference) }
  }

  async function toGrants(rows: readonly Row[]) {
    const roleNames = await roles.names(rows.map(({ terms }) => terms.roleId))
    return rows.map(({ grant_id: id, name, terms }) => ({
      id,
      name,
      terms: toTerms(terms, roleNames.get(terms.roleId) ?? terms.roleId),
    }))
  }

  function toTerms(terms: GrantTerms, role: string) {
    const { clusterIds, labels } = terms.clusters
    return {
      subjects: terms.subjects.map(toSubject),
      role,
      clusters: clusterIds.map((id) => parties.nameOf('cluster', id)),
      clusterSelector: labels,
      namespaces: terms.namespaces,
      notBefore: terms.notBefore,
      notAfter: terms.notAfter,
    }
  }

  function toSubject({ kind, id }: GrantTerms['subjects'][number]): string {
    return `${kind}:${kind === 'user' || kind === 'group' ? parties.nameOf(kind, id) : id}`
  }

  async function show(reference: string) {
    const row = await grants.find(reference)
    if (row === undefined || row.revoked_at !== null) throw grantRejected('GRANT_NOT_FOUND')
    const [shown] = await toGrants([row])
    return { grant: shown }
  }

  return register(GrantServiceDefinition, {
    async createGrant({ name, terms }, { call }) {
      const grantId = newId('grant')
      const command = {
        type: 'CreateGrant' as const,
        grantId,
        name,
        terms: await parseTerms(terms),
      }
      await grants.execute(grantId, command, call.actor)
      return await show(grantId)
    },

    async changeGrant({ grant, terms }, { call }) {
      const grantId = await grants.resolve(grant)
      const command = { type: 'ChangeGrant' as const, terms: await parseTerms(terms) }
      await grants.execute(grantId, command, call.actor)
      return await show(grantId)
    },

    async listGrants(request) {
      const { rows, nextPageToken } = await grants.list(parsePage(request))
      return { grants: await toGrants(rows), nextPageToken }
    },

    getGrant: async (request) => await show(request.grant),

    async revokeGrant({ grant, reason }, { call }) {
      const grantId = await grants.resolve(grant)
      await grants.execute(grantId, { type: 'RevokeGrant', reason }, call.actor)
      return {}
    },

    explain: async (request, { call }) => await answerQuestion(request, call),
  })
}

type Row = { grant_id: string; name: string; terms: GrantTerms }
