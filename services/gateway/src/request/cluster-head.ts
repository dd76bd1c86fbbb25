import { encodeRequestHead } from '@postern/kube-http'
import { clientLines } from '../front/client-lines.ts'
import type { FrontHead } from '../front/front-interface.ts'

/** The head as it goes to the agent: made from what was decided, from named headers, never copied. */
export function clusterHead(
  head: FrontHead,
  facts: { target: string; sessionId: string; auditId: string; traceparent: string },
): Uint8Array {
  const { method, upgrade } = head
  return encodeRequestHead({ ...facts, method, upgrade }, clientLines(head).forwarded)
}
