import { type Attributes, decide, nonResourceAttributes, resourceAttributes } from '@postern/access'
import { rejections } from '@postern/errors'
import type { Call } from '@postern/rpc'
import type { KnownParties } from '../adapters/known-parties.ts'

const rejected = rejections({
  ONLY_YOUR_OWN: [
    'permission_denied',
    'without the permission of an administrator or auditor you may ask only about yourself',
  ],
  QUESTION_INCOMPLETE: [
    'invalid_argument',
    'ask about a verb with either a resource or a non-resource URL',
  ],
  QUESTION_TOO_LONG: ['invalid_argument', 'a part of the question has at most 1024 characters'],
  INVALID_RESOURCE: ['invalid_argument', 'a resource is "pods", or "pods/exec" with a subresource'],
  INVALID_MOMENT: ['invalid_argument', 'the moment is not a date and time'],
})

export type Question = {
  user: string
  cluster: string
  verb: string
  apiGroup: string
  resource: string
  namespace: string
  name: string
  nonResourceUrl: string
  at?: string | undefined
}

export type Explain = (question: Question, call: Pick<Call, 'user' | 'can'>) => Promise<Explanation>

export type Explanation = {
  allowed: boolean
  grantName: string
  roleName: string
  reason: string
  missing: string[]
}

type Needs = {
  parties: KnownParties
  /** The last position of policy's own log: what was changed before the question counts. */
  head: () => Promise<bigint>
  now: () => Date
}

const CHARACTERS_MAX = 1024

/** Decides a question as the gateway would, with the same function, on policy as it is now. */
export function createExplain({ parties, head, now }: Needs): Explain {
  return async (question, call) => {
    const attributes = toAttributes(question)
    const at = question.at === undefined ? now() : new Date(question.at)
    if (Number.isNaN(at.getTime())) throw rejected('INVALID_MOMENT')
    const userId = await resolveAsker(parties, question.user, call)
    const clusterId = await parties.resolve('cluster', question.cluster)
    await parties.hasApplied(await head())

    const decision = decide(parties.snapshot(), { userId, clusterId }, attributes, at)
    const reason =
      question.at === undefined
        ? decision.reason
        : `${decision.reason} (for ${at.toISOString()}, by the policy of today)`
    return {
      allowed: decision.outcome === 'allow',
      grantName: decision.grant?.name ?? '',
      roleName: decision.role?.name ?? '',
      reason,
      missing: [...decision.missing],
    }
  }
}

/** Whoever may not ask about others does not learn whether they exist. */
async function resolveAsker(
  parties: KnownParties,
  reference: string,
  { user, can }: Pick<Call, 'user' | 'can'>,
): Promise<string> {
  if (user === undefined) throw new Error('the call came without its end user')
  const own = [user.userId, user.userName.toLowerCase()]
  const isOwn = reference === '' || own.includes(reference.toLowerCase())
  if (isOwn) return await parties.resolve('user', user.userId)
  if (!can('policy.grants.explain')) throw rejected('ONLY_YOUR_OWN')
  return await parties.resolve('user', reference)
}

function toAttributes(question: Question): Attributes {
  const { verb, apiGroup, resource, namespace, name, nonResourceUrl } = question
  const parts = [verb, apiGroup, resource, namespace, name, nonResourceUrl]
  if (parts.some((part) => part.length > CHARACTERS_MAX)) throw rejected('QUESTION_TOO_LONG')
  const isOne = (resource === '') !== (nonResourceUrl === '')
  if (verb === '' || !isOne) throw rejected('QUESTION_INCOMPLETE')
  if (nonResourceUrl !== '') {
    if (apiGroup + namespace + name !== '') throw rejected('QUESTION_INCOMPLETE')
    return nonResourceAttributes({ verb, path: nonResourceUrl })
  }
  const [base, subresource = '', ...rest] = resource.split('/')
  if (base === undefined || base === '' || rest.length > 0 || resource.endsWith('/')) {
    throw rejected('INVALID_RESOURCE')
  }
  return resourceAttributes({ verb, apiGroup, resource: base, subresource, namespace, name })
}
