import type { ResponseHead } from './head.ts'
import { valuesOf } from './header-lines.ts'

/** Why an agent answered by itself. In every case nothing was sent to the cluster. */
export type AgentError =
  /** The session service has not told the agent of it, or it has ended. */
  | 'unknown-session'
  /** The session is known, its account or token is not ready. */
  | 'no-token'
  /** kube-apiserver did not take a connection. */
  | 'upstream-unreachable'
  /** The head is malformed or holds what only an agent may say. */
  | 'head-refused'
  /** The agent has as much to do as it can. */
  | 'overloaded'

export const AGENT_ERROR_HEADER = 'postern-agent-error'

const STATUS: Readonly<Record<AgentError, number>> = {
  'unknown-session': 401,
  'no-token': 503,
  'upstream-unreachable': 503,
  'head-refused': 400,
  overloaded: 503,
}

const isAgentError = (text: string): text is AgentError => Object.hasOwn(STATUS, text)

/** The head of an answer that the agent gives instead of the cluster. It has no body. */
export function agentErrorHead(error: AgentError): ResponseHead {
  return {
    status: STATUS[error],
    headers: [
      [AGENT_ERROR_HEADER, error],
      ['content-length', '0'],
    ],
  }
}

/** Why the agent answered instead of the cluster; agents remove the header from clusters' answers. */
export function agentErrorOf({ headers }: ResponseHead): AgentError | undefined {
  const [value] = valuesOf(headers, AGENT_ERROR_HEADER)
  if (value === undefined) return undefined
  // One that a newer agent knows: nothing was sent, and that is all there is to know.
  return isAgentError(value) ? value : 'upstream-unreachable'
}
