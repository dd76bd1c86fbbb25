import {
  type AgentError,
  agentErrorOf,
  contentLengthOf,
  decodeResponseHead,
  forwardableResponseHeaders,
  HeadError,
  isForwardingRedirect,
  type ResponseHead,
} from '@postern/kube-http'
import { agentRefused, badUpstream, type Refusal, refusals } from './refusal.ts'

/** An answer as the agent sent it; `undefined` when it is malformed: nothing of it may be used then. */
export function parseResponseHead(encoded: Buffer): ResponseHead | undefined {
  try {
    return decodeResponseHead(encoded)
  } catch (error) {
    if (error instanceof HeadError) return undefined
    throw error
  }
}

/** What of an answer goes on to the client; refused where a client could be led astray by it. */
export function acceptResponseHead(
  head: ResponseHead | undefined,
): ResponseHead | { refusal: Refusal } {
  if (head === undefined) return { refusal: badUpstream('its head could not be read') }
  const { status, headers } = head
  const agentError = agentErrorOf(head)
  if (agentError !== undefined) return { refusal: refusalOf(agentError) }
  if (status === 101) return { refusal: badUpstream('it upgraded a plain request') }
  if (status < 200 || status > 599) return { refusal: badUpstream('its status has no meaning') }
  // A redirect would have the client send its token elsewhere (CVE-2022-3172).
  if (isForwardingRedirect(head)) return { refusal: badUpstream('it was a redirect') }
  const forwardable = forwardableResponseHeaders(headers)
  if (contentLengthOf(forwardable) === undefined) {
    return { refusal: badUpstream('its length is malformed') }
  }
  return { status, headers: forwardable }
}

/** The agent answered by itself: in every case nothing was sent to the cluster. */
function refusalOf(error: AgentError): Refusal {
  switch (error) {
    case 'unknown-session':
      return agentRefused('your session is not known to the cluster yet, or has just ended')
    case 'no-token':
      return agentRefused('your account in the cluster is not ready yet')
    case 'upstream-unreachable':
      return agentRefused("its agent does not reach the cluster's API server")
    case 'overloaded':
      return agentRefused('its agent has as much to do as it can')
    case 'head-refused':
      return refusals.internal
  }
}
