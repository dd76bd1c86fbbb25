import { type HeaderLines, type StatusOrder, statusJson } from '@postern/kube-http'
import type { FrontRequest } from '../front/front-interface.ts'
import type { Refusal } from './refusal.ts'

/** The Status of a refusal as JSON; its message tells a kubectl user what to do next. */
export function statusText({ code, message }: Refusal): string {
  return statusJson({ code, message })
}

/** kubectl shows a JSON Status on these as "unknown", and text in full. */
const TEXT_PATHS = /^\/(?:api|apis|openapi\/.*|version)$|^\/api\/[^/]+$|^\/apis\/[^/]+(?:\/[^/]+)?$/
const OURS: HeaderLines = [
  ['X-Content-Type-Options', 'nosniff'],
  ['Cache-Control', 'no-cache, private'],
]

/** Answers a refusal in the form that the clients of that path show. `path` is the cluster's. */
export function answerRefusal(
  request: FrontRequest,
  refusal: Refusal,
  facts: { auditId: string; path: string },
): void {
  const { code, message, retryAfterSeconds, close = false } = refusal
  const isText = TEXT_PATHS.test(facts.path) && code !== 401
  const type = isText ? 'text/plain; charset=utf-8' : 'application/json'
  const headers: [string, string][] = [
    ['Content-Type', type],
    ['Audit-ID', facts.auditId],
  ]
  // An instruction to repeat the request, body and all; on discovery kubectl does so by itself, and
  // with it would try fifty times.
  if (retryAfterSeconds !== undefined && !isText) {
    headers.push(['Retry-After', String(retryAfterSeconds)])
  }
  const body = Buffer.from(isText ? message : statusJson(statusOf(refusal)))
  // kubectl shows the text of a 502 on discovery, and not that of a 503.
  const status = isText && code === 503 ? 502 : code
  request.answer({ status, headers: [...OURS, ...headers] }, body, { close })
}

function statusOf({ code, message, retryAfterSeconds }: Refusal): StatusOrder {
  return { code, message, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) }
}

/** Answers with an object of our own. */
export function answerJson(
  request: FrontRequest,
  answer: { code: number; object: object; auditId: string },
): void {
  const headers: HeaderLines = [
    ['Content-Type', 'application/json'],
    ...OURS,
    ['Audit-ID', answer.auditId],
  ]
  request.answer({ status: answer.code, headers }, Buffer.from(JSON.stringify(answer.object)))
}
