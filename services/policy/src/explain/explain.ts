import {
  type Attributes,
  decide,
  narrowedQuestion,
  nonResourceAttributes,
  type Requester,
  resourceAttributes,
  type Snapshot,
} from '@postern/access'
import { rejections } from '@postern/errors'

/** A request as `kubectl auth can-i` asks about it: a resource, or else a non-resource URL. */
export type Question = {
  verb: string
  apiGroup: string
  /** With its subresource: "pods" or "pods/exec". */
  resource: string
  namespace: string
  name: string
  nonResourceUrl: string
  /** Now when absent. RFC 3339. */
  at?: string | undefined
}

type Explanation = {
  allowed: boolean
  grantName: string
  roleName: string
  reason: string
  missing: string[]
}

const rejected = rejections({
  QUESTION_INCOMPLETE: [
    'invalid_argument',
    'ask about a verb with either a resource or a non-resource URL',
  ],
  QUESTION_TOO_LONG: ['invalid_argument', 'a part of the question has at most 1024 characters'],
  INVALID_RESOURCE: ['invalid_argument', 'a resource is "pods", or "pods/exec" with a subresource'],
  INVALID_MOMENT: ['invalid_argument', 'the moment is not a date and time'],
})

const CHARACTERS_MAX = 1024

/** Decides as the gateway would, with the same function; for another moment by the policy of today. */
export function explain(
  snapshot: Snapshot,
  requester: Requester,
  question: Question,
  now: Date,
): Explanation {
  const { at, attributes } = parseQuestion(question, now)
  const decision = decide(snapshot, requester, attributes, at)
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

/** @throws Rejection that says what is wrong with the question */
export function parseQuestion(question: Question, now: Date): { at: Date; attributes: Attributes } {
  const at = question.at === undefined ? now : new Date(question.at)
  if (Number.isNaN(at.getTime())) throw rejected('INVALID_MOMENT')
  return { at, attributes: toAttributes(question) }
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
  return narrowedQuestion(
    resourceAttributes({ verb, apiGroup, resource: base, subresource, namespace, name }),
  )
}
