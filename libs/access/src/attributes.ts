/** What is asked for, as kube-apiserver's authorizers see it. A RequestInfo is one. */
export type Attributes = {
  /** "get", "list", "create", ... or, for a non-resource request, the method in lower case. */
  readonly verb: string
  readonly isResourceRequest: boolean
  /** Percent-decoded. Decides only non-resource requests. */
  readonly path: string
  /** "" is the core group. */
  readonly apiGroup: string
  readonly resource: string
  /** "" without one. */
  readonly subresource: string
  /** "" at the cluster scope, and for a list over all namespaces. */
  readonly namespace: string
  /** "" without one. */
  readonly name: string
  /** The text of the request's field selector, "" without one. */
  readonly fieldSelector: string
  readonly labelSelector: string
  /** The HTTP method where there is a request. */
  readonly method?: string | undefined
  /** The verb came from /api/v1/watch/... or /api/v1/proxy/... and not from the method. */
  readonly verbInPath?: boolean | undefined
}

/** What kube-apiserver's RequestInfo holds for a request. */
export type RequestInfo = Attributes & {
  readonly method: string
  readonly verbInPath: boolean
  /** "api" or "apis" where the path begins like a resource's. */
  readonly apiPrefix: string
  readonly apiVersion: string
  /** The path from the resource on. */
  readonly parts: readonly string[]
}

/** Attributes of a question that is not an HTTP request: explain, a self review. */
export function resourceAttributes(
  asked: Pick<Attributes, 'verb' | 'resource'> & Partial<Attributes>,
): Attributes {
  return { ...NOTHING, ...asked, isResourceRequest: true }
}

export function nonResourceAttributes(asked: Pick<Attributes, 'verb' | 'path'>): Attributes {
  return { ...NOTHING, ...asked, isResourceRequest: false }
}

const NOTHING: Attributes = {
  verb: '',
  isResourceRequest: false,
  path: '',
  apiGroup: '',
  resource: '',
  subresource: '',
  namespace: '',
  name: '',
  fieldSelector: '',
  labelSelector: '',
}
