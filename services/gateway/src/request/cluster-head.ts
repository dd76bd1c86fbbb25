import { encodeRequestHead, forwardableRequestHeaders } from '@postern/kube-http'
import type { FrontHead } from '../front/front-interface.ts'

/** The head as it goes to the agent: made from what was decided, from named headers, never copied. */
export function clusterHead(
  head: FrontHead,
  facts: { target: string; sessionId: string; auditId: string; traceparent: string },
): Uint8Array {
  const { upgrade, remoteAddress } = head
  return encodeRequestHead({
    ...facts,
    method: head.method,
    // The client's own claims are not forwarded; kube-apiserver's audit shows this as source.
    headers: [...forwardableRequestHeaders(head.headers), ['X-Forwarded-For', remoteAddress]],
    ...(upgrade === undefined ? {} : { upgrade }),
  })
}
