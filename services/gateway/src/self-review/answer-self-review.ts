import {
  type CompiledAccess,
  decideCompiled,
  nonResourceAttributes,
  resourceAttributes,
} from '@postern/access'
import type { ResponseHead } from '@postern/kube-http'
import type { MuxSession } from '@postern/mux'
import { z } from 'zod'
import type { FrontRequest } from '../front/front-interface.ts'
import { headerValue } from '../front/header-values.ts'
import type { Admitted } from '../request/admit.ts'
import type { Cuttable, Outcome } from '../request/forward.ts'
import { answerJson } from '../request/kubernetes-status.ts'
import { badUpstream, cutShort, lostAfterForwarding, type Refusal } from '../request/refusal.ts'
import type { Cut } from '../streams/live-requests.ts'
import { askCluster } from './ask-cluster.ts'
import { type AccessQuestion, parseAccessReview, parseRulesReview } from './review-body.ts'
import { intersectRules, policyRules } from './rules-intersection.ts'

export type SelfReviewNeeds = {
  readonly compiled: (userId: string, clusterId: string) => CompiledAccess
  readonly now: () => Date
}

type Order = {
  readonly request: FrontRequest
  readonly admitted: Admitted
  readonly sessionId: string
  readonly tunnel: MuxSession
  readonly auditId: string
  readonly traceparent: string
}

type Answer = { readonly object: object } | { readonly refusal: Refusal }

const QUESTION_BYTES_MAX = 256 * 1024
const AUTHORIZATION = 'authorization.k8s.io/v1'

/**
 * "Who am I", "may I", "what may I": answered with the human and with what both policy and cluster
 * say. Either alone would promise what the other refuses.
 */
export function answerSelfReview(
  order: Order,
  needs: SelfReviewNeeds,
): Cuttable & { done: Promise<Outcome> } {
  const { request, auditId } = order
  let cutBy: Cut | undefined

  async function run(): Promise<Outcome> {
    const answer = await answerTo(order, needs)
    if (cutBy !== undefined) return { kind: 'refused', refusal: cutShort(cutBy) }
    if ('refusal' in answer) return { kind: 'refused', refusal: answer.refusal }
    answerJson(request, { code: 201, object: answer.object, auditId })
    return { kind: 'answered', code: 201, bytes: 0, end: 'complete' }
  }

  return {
    done: run(),
    cut(why) {
      cutBy ??= why
    },
  }
}

async function answerTo(order: Order, needs: SelfReviewNeeds): Promise<Answer> {
  const { info } = order.admitted
  if (info.resource === 'selfsubjectreviews') return { object: whoAmI(order) }
  const body = await readBody(order.request)
  if (body === undefined) return notUnderstood()
  const contentType = headerValue(order.request.head.headers, 'content-type') ?? ''
  if (info.resource === 'selfsubjectaccessreviews') {
    const question = parseAccessReview(body, contentType)
    return question === undefined ? notUnderstood() : await mayI(question, order, needs)
  }
  const namespace = parseRulesReview(body, contentType)
  return namespace === undefined ? notUnderstood() : await whatMayI(namespace, order, needs)
}

/** With the session's account the cluster would name a ServiceAccount. */
function whoAmI({ admitted, sessionId }: Order): object {
  const { caller, info, cluster } = admitted
  return {
    kind: 'SelfSubjectReview',
    apiVersion: `authentication.k8s.io/${info.apiVersion}`,
    metadata: { creationTimestamp: null },
    status: {
      userInfo: {
        username: caller.userName,
        uid: caller.userId,
        groups: [...caller.groups],
        extra: {
          'postern.dev/session': [sessionId],
          'postern.dev/cluster': [cluster.name],
        },
      },
    },
  }
}

async function mayI(
  question: AccessQuestion,
  order: Order,
  needs: SelfReviewNeeds,
): Promise<Answer> {
  const { caller, cluster } = order.admitted
  const access = needs.compiled(caller.userId, cluster.id)
  const decision = decideCompiled(access, attributesOf(question), needs.now())
  const review = accessReview(question)
  if (decision.outcome === 'deny') {
    return { object: { ...review, status: { allowed: false, reason: decision.reason } } }
  }
  const asked = await ask(order, review, accessStatus)
  if ('refusal' in asked) return asked
  const { allowed, reason, evaluationError } = asked.status
  const status = {
    allowed,
    reason: allowed ? decision.reason : `the cluster does not allow it: ${reason}`,
    ...(evaluationError === '' ? {} : { evaluationError }),
  }
  return { object: { ...review, status } }
}

async function whatMayI(namespace: string, order: Order, needs: SelfReviewNeeds): Promise<Answer> {
  const { caller, cluster } = order.admitted
  const review = {
    kind: 'SelfSubjectRulesReview',
    apiVersion: AUTHORIZATION,
    metadata: { creationTimestamp: null },
    spec: { namespace },
  }
  const asked = await ask(order, review, rulesStatus)
  if ('refusal' in asked) return asked
  const policy = policyRules(needs.compiled(caller.userId, cluster.id), namespace, needs.now())
  return { object: { ...review, status: intersectRules(policy, asked.status) } }
}

async function ask<Status>(
  { request, admitted, tunnel, sessionId, auditId, traceparent }: Order,
  review: object,
  status: z.ZodType<Status>,
): Promise<{ status: Status } | { refusal: Refusal }> {
  const { target, cluster } = admitted
  const [path = ''] = target.split('?')
  const head = { sessionId, auditId, traceparent, method: 'POST', target: path }
  let answer: { head: ResponseHead; body: Buffer }
  try {
    answer = await askCluster(tunnel, head, review, request.gone)
  } catch {
    return { refusal: lostAfterForwarding(cluster.name, 'it did not answer the review') }
  }
  if (answer.head.status >= 300) {
    return { refusal: badUpstream(`it answered the review with ${answer.head.status}`) }
  }
  const parsed = z.object({ status }).safeParse(parseJson(answer.body))
  if (!parsed.success) return { refusal: badUpstream('its answer to the review is malformed') }
  return { status: parsed.data.status }
}

function attributesOf(question: AccessQuestion) {
  if (question.kind === 'nonResource') return nonResourceAttributes(question)
  const { verb, group, resource, subresource, namespace, name } = question
  return resourceAttributes({ verb, apiGroup: group, resource, subresource, namespace, name })
}

function accessReview(question: AccessQuestion) {
  const { kind, ...attributes } = question
  const spec =
    kind === 'resource' ? { resourceAttributes: attributes } : { nonResourceAttributes: attributes }
  return {
    kind: 'SelfSubjectAccessReview',
    apiVersion: AUTHORIZATION,
    metadata: { creationTimestamp: null },
    spec,
  }
}

const accessStatus = z.object({
  allowed: z.boolean().default(false),
  reason: z.string().default(''),
  evaluationError: z.string().default(''),
})

const words = z.array(z.string()).nullish()
const list = words.transform((items) => items ?? [])
const rulesStatus = z.object({
  resourceRules: z
    .array(z.object({ verbs: list, apiGroups: list, resources: list, resourceNames: list }))
    .nullish()
    .transform((rules) => rules ?? []),
  nonResourceRules: z
    .array(z.object({ verbs: list, nonResourceURLs: list }))
    .nullish()
    .transform((rules) => rules ?? []),
  incomplete: z.boolean().default(false),
})

function notUnderstood(): Answer {
  return {
    refusal: {
      code: 415,
      message: 'the review must be JSON or Kubernetes protobuf, at most 256 KiB, and well-formed',
    },
  }
}

async function readBody({ body }: FrontRequest): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body) {
    if (!Buffer.isBuffer(chunk)) return undefined
    bytes += chunk.length
    if (bytes > QUESTION_BYTES_MAX) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}
