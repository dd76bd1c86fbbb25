import type { ApiClient } from '@postern/bootstrap'
import type { Child } from '@postern/local-servers'

/** A process that is measured, with all that it started. */
export type Part = { readonly name: string; readonly pid: number }

/** Something that carries requests from a client to the API server. */
export type Stack = {
  readonly name: StackName
  /** host:port that clients connect to. */
  readonly address: string
  /** Stands before the path of every request. */
  readonly prefix: string
  /** Authority of its certificate; clients speak plain HTTP without one. */
  readonly caFile?: string
  /** A bearer token a line. */
  readonly tokensFile?: string
  /** The processes that a request passes. */
  readonly hops: readonly Part[]
  /** Those that work for it beside its path. */
  readonly beside: readonly Part[]
  /** The public API of Postern, as its administrator. */
  readonly api?: ApiClient
  /** The same on new processes, which have nothing of earlier loads in their memory. */
  readonly renew?: (limits: Limits) => Promise<Stack>
}

/** What one user may do: as much as the machine does, or as it ships. Peers know no users. */
export type Limits = 'raised' | 'shipped'

/** Every stack, in the order of the tables. */
export const STACKS = {
  direct: 'direct: no hop at all',
  postern: 'Postern: gateway, relay, agent',
  'go-tunnel-2': 'Go tunnel, two processes',
  'go-tunnel-h2': 'Go tunnel over reversed HTTP/2',
  'go-tunnel-tuned': 'Go tunnel, tuned',
  'go-tunnel-gathered': 'Go tunnel, tuned, writes gathered',
  'go-tunnel-3': 'Go tunnel, three processes',
  'go-proxy-2': 'two Go reverse proxies',
  'go-proxy-3': 'three Go reverse proxies',
  'nginx-3': 'nginx, three hops',
  'kubectl-proxy': 'kubectl proxy (one hop, no TLS in front)',
} as const

export type StackName = keyof typeof STACKS

export function partOf(name: string, child: Child): Part {
  const { pid } = child.process
  if (pid === undefined) throw new Error(`${name} has no process`)
  return { name, pid }
}
