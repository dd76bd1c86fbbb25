import {
  EncodedLines,
  findIdentityHeader,
  forwardableRequestHeaders,
  type HeaderLines,
} from '@postern/kube-http'
import { bearerToken, type Presented } from './bearer-token.ts'
import { headerValue } from './header-values.ts'

/** What the header lines of a request say, as far as the gateway looks at them, and who says it. */
export type ClientLines = {
  readonly remoteAddress: string
  readonly headers: HeaderLines
  readonly presented: Presented
  /** The first one, as written, that claims to be somebody. */
  readonly identityHeader: string | undefined
  readonly traceparent: string | undefined
  readonly userAgent: string | undefined
  readonly kubectlCommand: string | undefined
  /** One per invocation of kubectl: it links the two tries of a denied exec. */
  readonly kubectlSession: string | undefined
  readonly auditId: string | undefined
  /** What goes on to the cluster: from named headers, never copied. */
  readonly forwarded: EncodedLines
}

/** Who says them. */
type From = {
  readonly remoteAddress: string
  readonly memory: { lines?: ClientLines }
}

/** Most clients say the same with every request of a connection: that is read once. */
export function clientLines(headers: HeaderLines, { remoteAddress, memory }: From): ClientLines {
  if (memory.lines?.headers === headers) return memory.lines
  memory.lines = {
    remoteAddress,
    headers,
    presented: bearerToken(headers),
    identityHeader: findIdentityHeader(headers),
    traceparent: headerValue(headers, 'traceparent'),
    userAgent: headerValue(headers, 'user-agent'),
    kubectlCommand: headerValue(headers, 'kubectl-command'),
    kubectlSession: headerValue(headers, 'kubectl-session'),
    auditId: headerValue(headers, 'audit-id'),
    // The client's own claims are not forwarded; kube-apiserver's audit shows this as source.
    forwarded: new EncodedLines([
      ...forwardableRequestHeaders(headers),
      ['X-Forwarded-For', remoteAddress],
    ]),
  }
  return memory.lines
}
