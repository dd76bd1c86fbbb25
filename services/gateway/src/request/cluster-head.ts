import { encodeRequestHead } from '@postern/kube-http'
import type { FrontHead } from '../front/front-interface.ts'

/** The head as it goes to the agent: made from what was decided, from named headers, never copied. */
export function clusterHead(
  head: FrontHead,
  facts: { target: string; sessionId: string; auditId: string; traceparent: string },
): Uint8Array {
  const { method, upgrade, lines } = head
  return encodeRequestHead({ ...facts, method, upgrade }, lines.forwarded)
}
