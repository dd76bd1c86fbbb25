import {
  type CompiledAccess,
  decideCompiled,
  narrowedQuestion,
  nonResourceAttributes,
  resourceAttributes,
} from '@postern/access'
import { kubeStatus, type ResponseHead } from '@postern/kube-http'
import type { MuxSession } from '@postern/mux'
import { z } from 'zod'
import type { FrontRequest } from '../front/front-interface.ts'
import { headerValue } from '../front/header-values.ts'
import type { Admitted } from '../request/admit.ts'
import { answerJson } from '../request/kubernetes-status.ts'
import type { Cuttable, Outcome } from '../request/outcome.ts'
import { readBody } from '../request/read-body.ts'
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

type Asking = Order & { readonly gone: AbortSignal }

type Answer = { readonly object: object; readonly code?: number } | { readonly refusal: Refusal }
/** What the cluster said: its answer, its refusal of the question, or none. */
type Asked = { readonly body: Buffer } | Answer

const QUESTION_BYTES_MAX = 256 * 1024
const JSON_TYPE = 'application/json'
const AUTHORIZATION = 'authorization.k8s.io/v1'
const WHO_AM_I_VERSIONS = new Set(['v1', 'v1beta1', 'v1alpha1'])

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
  if (info.resource === 'selfsubjectreviews') return whoAmI(order)
  const { content, gone } = readBody(order.request, QUESTION_BYTES_MAX)
  const read = await content
  if ('refusal' in read) return read
  // Where nothing is said kube-apiserver reads JSON.
  const contentType = headerValue(order.request.head.lines.headers, 'content-type') ?? JSON_TYPE
  const question = { content: read.body, contentType }
  const asking = { ...order, gone }
  return info.resource === 'selfsubjectaccessreviews'
    ? await mayI(question, asking, needs)
    : await whatMayI(question, asking, needs)
}

/** With the session's account the cluster would name a ServiceAccount. */
function whoAmI({ admitted, sessionId }: Order): Answer {
  const { caller, info, cluster } = admitted
  if (!WHO_AM_I_VERSIONS.has(info.apiVersion)) {
    return statusAnswer({ code: 404, message: 'the server could not find the requested resource' })
  }
  const object = {
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
  return { object }
}

function statusAnswer(status: { code: number; message: string }): Answer {
  return { object: kubeStatus(status), code: status.code }
}

async function mayI(asked: Question, order: Asking, needs: SelfReviewNeeds): Promise<Answer> {
  const { caller, cluster } = order.admitted
  const access = needs.compiled(caller.userId, cluster.id)
  const decide = (question: AccessQuestion) =>
    decideCompiled(access, attributesOf(question), needs.now())
  const known = parseAccessReview(asked.content, asked.contentType)
  const early = known && decide(known)
  if (known !== undefined && early?.outcome === 'deny') {
    return { object: accessReview(specOf(known), { allowed: false, reason: early.reason }) }
  }
  const said = await ask(order, asked)
  if (!('body' in said)) return said
  // The cluster says the question again as it has read it, in JSON: that is what is decided.
  const question = parseAccessReview(said.body, JSON_TYPE)
  const found = answeredReview.safeParse(parseJson(said.body))
  if (question === undefined || !found.success) return malformedAnswer()
  const decision = decide(question)
  const { spec, status } = found.data
  const { allowed, evaluationError } = status
  const reason =
    allowed || decision.outcome === 'deny'
      ? decision.reason
      : `the cluster does not allow it: ${status.reason}`
  const together = {
    allowed: allowed && decision.outcome === 'allow',
    reason,
    ...(evaluationError === '' ? {} : { evaluationError }),
  }
  return { object: accessReview(spec, together) }
}

async function whatMayI(asked: Question, order: Asking, needs: SelfReviewNeeds): Promise<Answer> {
  const { caller, cluster } = order.admitted
  const namespace = parseRulesReview(asked.content, asked.contentType)
  const said = await ask(order, asked)
  if (!('body' in said)) return said
  if (namespace === undefined) {
    // Its answer does not say which namespace it has read.
    const message = 'Postern reads a SelfSubjectRulesReview in JSON and in protobuf'
    return statusAnswer({ code: 415, message })
  }
  const found = z.object({ status: rulesStatus }).safeParse(parseJson(said.body))
  if (!found.success) return malformedAnswer()
  const policy = policyRules(needs.compiled(caller.userId, cluster.id), namespace, needs.now())
  return {
    object: {
      kind: 'SelfSubjectRulesReview',
      apiVersion: AUTHORIZATION,
      metadata: { creationTimestamp: null },
      spec: { namespace },
      status: intersectRules(policy, found.data.status),
    },
  }
}

async function ask(
  { gone, admitted, tunnel, sessionId, auditId, traceparent }: Asking,
  question: Question,
): Promise<Asked> {
  const { target, cluster } = admitted
  const [path = ''] = target.split('?')
  const head = { sessionId, auditId, traceparent, method: 'POST', target: path }
  let answer: { head: ResponseHead; body: Buffer }
  try {
    answer = await askCluster(tunnel, head, question, gone)
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

function malformedAnswer(): Answer {
  return { refusal: badUpstream('its answer to the review is malformed') }
}

function attributesOf(question: AccessQuestion) {
  if (question.kind === 'nonResource') return nonResourceAttributes(question)
  const { verb, group, resource, subresource, namespace, name, fieldSelector } = question
  const object = { apiGroup: group, resource, subresource, namespace, name }
  return narrowedQuestion(resourceAttributes({ verb, ...object, fieldSelector }))
}

function specOf(question: AccessQuestion): object {
  if (question.kind === 'nonResource') {
    const { path, verb } = question
    return { nonResourceAttributes: { path, verb } }
  }
  const { kind: _, fieldSelector, ...attributes } = question
  const selector = fieldSelector === '' ? {} : { fieldSelector: { rawSelector: fieldSelector } }
  return { resourceAttributes: { ...attributes, ...selector } }
}

function accessReview(spec: object, status: object): object {
  return {
    kind: 'SelfSubjectAccessReview',
    apiVersion: AUTHORIZATION,
    metadata: { creationTimestamp: null },
    spec,
    status,
  }
}

const accessStatus = z.object({
  allowed: z.boolean().default(false),
  reason: z.string().default(''),
  evaluationError: z.string().default(''),
})
const answeredReview = z.object({ spec: z.record(z.string(), z.unknown()), status: accessStatus })

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
  evaluationError: z.string().default(''),
})

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}
