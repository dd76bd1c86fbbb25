import { rejections } from '@postern/errors'
import type { RequestInfo } from './attributes.ts'
import { parseFieldSelector, requiredValue } from './field-selector.ts'
import { parseGoQuery, type Query } from './go-query.ts'
import { isInt64, isLabelSelectorText } from './label-selector-text.ts'

const rejected = rejections({
  PATH_MALFORMED: [
    'invalid_argument',
    'the path of the request is not valid percent-encoded UTF-8',
  ],
  QUERY_TOO_LONG: ['invalid_argument', 'the query of the request has more than 10000 parameters'],
  RESOURCE_MISSING: [
    'invalid_argument',
    'a path of the form /api/v1/watch/... or /api/v1/proxy/... must name a resource',
  ],
})

const SPECIAL_VERBS = new Set(['proxy', 'watch'])
const NAMESPACE_SUBRESOURCES = new Set(['status', 'finalize'])
const VERBS_WITH_SELECTORS = new Set(['list', 'watch', 'deletecollection'])
const VERB_OF_METHOD = new Map([
  ['POST', 'create'],
  ['GET', 'get'],
  ['HEAD', 'get'],
  ['PUT', 'update'],
  ['PATCH', 'patch'],
  ['DELETE', 'delete'],
])

/**
 * What kube-apiserver will understand by a request. `target` is a canonical path with its query.
 *
 * @throws Rejection invalid_argument where kube-apiserver fails too, and for a path with bad escapes
 */
export function parseRequestInfo(method: string, target: string): RequestInfo {
  const cut = target.indexOf('?')
  const path = cut === -1 ? target : target.slice(0, cut)
  return requestInfoOf(method, decodedPath(path), cut === -1 ? '' : target.slice(cut + 1))
}

function decodedPath(path: string): string {
  if (!path.includes('%')) return path
  try {
    return decodeURIComponent(path)
  } catch {
    throw rejected('PATH_MALFORMED')
  }
}

/**
 * Line by line the algorithm of k8s.io/apiserver/pkg/endpoints/request RequestInfoFactory, on a
 * path that is percent-decoded once. It must never be simpler or better than that one.
 *
 * @throws Rejection invalid_argument where that one answers an error
 */
export function requestInfoOf(method: string, path: string, rawQuery: string): RequestInfo {
  const parts = splitPath(path)
  const prefix = parts[0] ?? ''
  if (parts.length < 3 || (prefix !== 'api' && prefix !== 'apis')) {
    return nonResourceRequest(method, path, '')
  }
  let rest = parts.slice(1)
  let apiGroup = ''
  if (prefix === 'apis') {
    if (rest.length < 3) return nonResourceRequest(method, path, prefix)
    apiGroup = rest[0] ?? ''
    rest = rest.slice(1)
  }
  const apiVersion = rest[0] ?? ''
  rest = rest.slice(1)

  let verb = VERB_OF_METHOD.get(method) ?? ''
  const verbInPath = SPECIAL_VERBS.has(rest[0] ?? '')
  if (verbInPath) {
    if (rest.length < 2) throw rejected('RESOURCE_MISSING')
    verb = rest[0] ?? ''
    rest = rest.slice(1)
  }

  let namespace = ''
  if (rest[0] === 'namespaces' && rest.length > 1) {
    namespace = rest[1] ?? ''
    if (rest.length > 2 && !NAMESPACE_SUBRESOURCES.has(rest[2] ?? '')) rest = rest.slice(2)
  }
  let name = rest[1] ?? ''
  const query = queryOf(rawQuery)
  if (name === '' && verb === 'get') {
    const options = listOptions(query)
    verb = options.watch ? 'watch' : 'list'
    name = options.name
  }
  if (name === '' && verb === 'delete') verb = 'deletecollection'
  const selective = !verbInPath && VERBS_WITH_SELECTORS.has(verb)

  return {
    verb,
    isResourceRequest: true,
    path,
    apiGroup,
    resource: rest[0] ?? '',
    subresource: verb === 'proxy' ? '' : (rest[2] ?? ''),
    namespace,
    name,
    fieldSelector: (selective && query.get('fieldSelector')) || '',
    labelSelector: (selective && query.get('labelSelector')) || '',
    method,
    verbInPath,
    apiPrefix: prefix,
    apiVersion,
    parts: rest,
  }
}

function nonResourceRequest(method: string, path: string, apiPrefix: string): RequestInfo {
  return {
    verb: method.toLowerCase(),
    isResourceRequest: false,
    path,
    apiGroup: '',
    resource: '',
    subresource: '',
    namespace: '',
    name: '',
    fieldSelector: '',
    labelSelector: '',
    method,
    verbInPath: false,
    apiPrefix,
    apiVersion: '',
    parts: [],
  }
}

function splitPath(path: string): string[] {
  let start = 0
  let end = path.length
  while (start < end && path[start] === '/') start++
  while (end > start && path[end - 1] === '/') end--
  const parts: string[] = []
  while (start < end) {
    const slash = path.indexOf('/', start)
    const cut = slash === -1 ? end : Math.min(slash, end)
    parts.push(path.slice(start, cut))
    start = cut + 1
  }
  return parts
}

const NO_QUERY: Query = new Map()

function queryOf(raw: string): Query {
  if (raw === '') return NO_QUERY
  const query = parseGoQuery(raw)
  if (query === undefined) throw rejected('QUERY_TOO_LONG')
  return query
}

/** metav1.ListOptions as far as they matter. One that fails to parse takes all but watch with it. */
function listOptions(query: Query): { watch: boolean; name: string } {
  const watch = query.get('watch')
  const integers = [query.get('limit'), query.get('timeoutSeconds')]
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '')
  const isWrong =
    fields === undefined ||
    integers.some((text) => text !== undefined && !isInt64(text)) ||
    !isLabelSelectorText(query.get('labelSelector') ?? '')
  if (isWrong) return { watch: watch !== undefined && !isFalse(watch), name: '' }
  // strings.EqualFold, by which the long s is an s; the branch above has strings.ToLower.
  const isWatch = watch !== undefined && !isFalse(watch.replaceAll('\u017F', 's'))
  const name = requiredValue(fields, 'metadata.name') ?? ''
  return { watch: isWatch, name: isPathSegmentName(name) ? name : '' }
}

function isFalse(text: string): boolean {
  return text === '0' || text.toLowerCase() === 'false'
}

function isPathSegmentName(name: string): boolean {
  // The replacement character stands for bytes that were not UTF-8: no object is called so.
  return name !== '.' && name !== '..' && !/[/%\uFFFD]/.test(name)
}
