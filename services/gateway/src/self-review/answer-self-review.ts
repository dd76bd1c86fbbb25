import {
  type CompiledAccess,
  decideCompiled,
  narrowedQuestion,
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
import { askCluster, type Question } from './ask-cluster.ts'
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

type Answer = { readonly object: object; readonly code?: number } | { readonly refusal: Refusal }
/** What the cluster said: its answer, its refusal of the question, or none. */
type Asked = { readonly body: Buffer } | Answer

const QUESTION_BYTES_MAX = 256 * 1024
const JSON_TYPE = 'application/json'
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
    const { object, code = 201 } = answer
    answerJson(request, { code, object, auditId })
    return { kind: 'answered', code, bytes: 0, end: 'complete' }
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
  const content = await readBody(order.request)
  if (content === undefined) return tooLarge()
  const contentType = headerValue(order.request.head.headers, 'content-type') ?? ''
  const question = { content, contentType }
  return info.resource === 'selfsubjectaccessreviews'
    ? await mayI(question, order, needs)
    : await whatMayI(question, order, needs)
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

async function mayI(asked: Question, order: Order, needs: SelfReviewNeeds): Promise<Answer> {
  const { caller, cluster } = order.admitted
  const access = needs.compiled(caller.userId, cluster.id)
  const decide = (question: AccessQuestion) =>
    decideCompiled(access, attributesOf(question), needs.now())
  const known = parseAccessReview(asked.content, asked.contentType)
  const early = known && decide(known)
  if (known !== undefined && early?.outcome === 'deny') {
    const status = { allowed: false, reason: early.reason }
    return { object: { ...accessReview(known), status } }
  }
  const said = await ask(order, known === undefined ? asked : json(accessReview(known)))
  if (!('body' in said)) return said
  // In an encoding that is not read here: the cluster's answer says the question again, in JSON.
  const question = known ?? parseAccessReview(said.body, JSON_TYPE)
  const found = z.object({ status: accessStatus }).safeParse(parseJson(said.body))
  if (question === undefined || !found.success) return malformedAnswer()
  const decision = decide(question)
  const { allowed, reason, evaluationError } = found.data.status
  const status = {
    allowed: allowed && decision.outcome === 'allow',
    reason:
      allowed || decision.outcome === 'deny'
        ? decision.reason
        : `the cluster does not allow it: ${reason}`,
    ...(evaluationError === '' ? {} : { evaluationError }),
  }
  return { object: { ...accessReview(question), status } }
}

async function whatMayI(asked: Question, order: Order, needs: SelfReviewNeeds): Promise<Answer> {
  const { caller, cluster } = order.admitted
  const known = parseRulesReview(asked.content, asked.contentType)
  const said = await ask(order, known === undefined ? asked : json(rulesReview(known)))
  if (!('body' in said)) return said
  const namespace = known ?? parseRulesReview(said.body, JSON_TYPE)
  const found = z.object({ status: rulesStatus }).safeParse(parseJson(said.body))
  if (namespace === undefined || !found.success) return malformedAnswer()
  const policy = policyRules(needs.compiled(caller.userId, cluster.id), namespace, needs.now())
  return {
    object: { ...rulesReview(namespace), status: intersectRules(policy, found.data.status) },
  }
}

async function ask(
  { request, admitted, tunnel, sessionId, auditId, traceparent }: Order,
  question: Question,
): Promise<Asked> {
  const { target, cluster } = admitted
  const [path = ''] = target.split('?')
  const head = { sessionId, auditId, traceparent, method: 'POST', target: path }
  let answer: { head: ResponseHead; body: Buffer }
  try {
    answer = await askCluster(tunnel, head, question, request.gone)
  } catch {
    return { refusal: lostAfterForwarding(cluster.name, 'it did not answer the review') }
  }
  const { status: code } = answer.head
  if (code < 300) return { body: answer.body }
  const object = parseJson(answer.body)
  // What is wrong with the question the cluster says best.
  if (code >= 400 && code < 500 && typeof object === 'object' && object !== null) {
    return { object, code }
  }
  return { refusal: badUpstream(`it answered the review with ${code}`) }
}

function json(review: object): Question {
  return { content: Buffer.from(JSON.stringify(review)), contentType: JSON_TYPE }
}

function malformedAnswer(): Answer {
  return { refusal: badUpstream('its answer to the review is malformed') }
}

function attributesOf(question: AccessQuestion) {
  if (question.kind === 'nonResource') return nonResourceAttributes(question)
  const { verb, group, resource, subresource, namespace, name } = question
  return narrowedQuestion(
    resourceAttributes({ verb, apiGroup: group, resource, subresource, namespace, name }),
  )
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

function rulesReview(namespace: string) {
  return {
    kind: 'SelfSubjectRulesReview',
    apiVersion: AUTHORIZATION,
    metadata: { creationTimestamp: null },
    spec: { namespace },
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

function tooLarge(): Answer {
  return { refusal: { code: 413, message: 'a review has at most 256 KiB' } }
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
