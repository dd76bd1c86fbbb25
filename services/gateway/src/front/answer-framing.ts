import { contentLengthOf, type ResponseHead } from '@postern/kube-http'

/** What follows the head of an answer, however it is carried. `chunked` where no length was said. */
export type AnswerFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }

export const NO_BODY: AnswerFraming = { kind: 'none' }

/**
 * An answer to HEAD, a 204 and a 304 have no body, whatever their head says of one (RFC 9110, 9.3.2 and 15.4.5;
 * RFC 9112, 6.3).
 */
export function framingOf(method: string, head: ResponseHead): AnswerFraming {
  const { status, headers } = head
  if (method === 'HEAD' || status === 204 || status === 304) return NO_BODY
  const bytes = contentLengthOf(headers)
  return typeof bytes === 'number' ? { kind: 'length', bytes } : { kind: 'chunked' }
}

/** The head of an answer of so many bytes. One that is passed on may say a length of its own, and with two it has none. */
export function withLength({ status, headers }: ResponseHead, bytes: number): ResponseHead {
  const others = headers.filter(([name]) => name.toLowerCase() !== 'content-length')
  return { status, headers: [...others, ['Content-Length', String(bytes)]] }
}
