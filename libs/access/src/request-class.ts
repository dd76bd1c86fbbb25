import type { Attributes } from './attributes.ts'

/** What a request can do, as far as recording it before it runs is concerned. */
export type RequestClass = 'read' | 'secret-read' | 'exec' | 'write'

const READ_VERBS = new Set(['get', 'list', 'watch'])
const EXEC_SUBRESOURCES = new Set(['exec', 'attach', 'portforward', 'proxy'])
const LONG_RUNNING_SUBRESOURCES = new Set(['attach', 'exec', 'proxy', 'log', 'portforward'])

/** `upgrade`: the client asks to turn the connection into a stream; what runs in it is unknown. */
export function requestClass(asked: Attributes, upgrade = false): RequestClass {
  if (upgrade || asked.verb === 'proxy') return 'exec'
  if (!asked.isResourceRequest) {
    return asked.verb === 'get' || asked.verb === 'head' ? 'read' : 'write'
  }
  if (EXEC_SUBRESOURCES.has(asked.subresource)) return 'exec'
  if (isSelfReview(asked)) return 'read'
  if (!READ_VERBS.has(asked.verb)) return 'write'
  const readsSecrets =
    asked.resource === 'secrets' ||
    (asked.resource === 'serviceaccounts' && asked.subresource === 'token')
  return readsSecrets ? 'secret-read' : 'read'
}

/** Whether the audit intent must be durable before the first byte is forwarded. */
export function requiresIntent(asked: Attributes, upgrade = false): boolean {
  return requestClass(asked, upgrade) !== 'read'
}

/** kube-apiserver's BasicLongRunningRequestCheck with its defaults, and every upgrade. */
export function isLongRunning(asked: Attributes, upgrade = false): boolean {
  if (upgrade || asked.verb === 'watch' || asked.verb === 'proxy') return true
  if (asked.isResourceRequest) return LONG_RUNNING_SUBRESOURCES.has(asked.subresource)
  return asked.path.startsWith('/debug/pprof/')
}

const DISCOVERY = new Set([
  '/api',
  '/apis',
  '/openapi',
  '/version',
  '/healthz',
  '/livez',
  '/readyz',
])

/** What every client reads first: which APIs there are, and whether the server is well. */
export function isDiscovery({ isResourceRequest, verb, path }: Attributes): boolean {
  if (isResourceRequest || verb !== 'get') return false
  const trimmed = path.endsWith('/') ? path.slice(0, -1) : path
  if (DISCOVERY.has(trimmed) || trimmed.startsWith('/openapi/')) return true
  const [empty, root, ...rest] = trimmed.split('/')
  if (empty !== '' || rest.includes('')) return false
  return (root === 'api' && rest.length === 1) || (root === 'apis' && rest.length <= 2)
}

const SELF_REVIEWS = new Set([
  'authorization.k8s.io/selfsubjectaccessreviews',
  'authorization.k8s.io/selfsubjectrulesreviews',
  'authentication.k8s.io/selfsubjectreviews',
])

/** "Who am I, what may I do": changes nothing and tells nothing about others. */
export function isSelfReview(asked: Attributes): boolean {
  return (
    asked.isResourceRequest &&
    asked.verb === 'create' &&
    asked.subresource === '' &&
    asked.namespace === '' &&
    asked.name === '' &&
    SELF_REVIEWS.has(`${asked.apiGroup}/${asked.resource}`)
  )
}
