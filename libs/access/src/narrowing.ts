import type { Attributes, RequestInfo } from './attributes.ts'
import { PROTECTED_NAMESPACES, reachesProtectedNamespaces } from './guardrails.ts'

const EXCLUSIONS = PROTECTED_NAMESPACES.map((name) => `metadata.namespace!=${name}`).join(',')

/**
 * The target with which a list or a watch of secrets in all namespaces leaves out Postern's own; any
 * other as it is. To be decided and forwarded in the place of the one that came: `kubectl get secrets
 * -A` and `helm list -A` work, and what they must not see the cluster itself leaves out.
 */
export function narrowedTarget(info: RequestInfo, target: string): string {
  const isNarrowed =
    isOfAllSecrets(info) && !info.verbInPath && (info.verb === 'list' || info.verb === 'watch')
  if (!isNarrowed || !reachesProtectedNamespaces(info.fieldSelector)) return target
  const cut = target.indexOf('?')
  const path = cut === -1 ? target : target.slice(0, cut)
  const pairs = cut === -1 ? [] : target.slice(cut + 1).split('&')
  const at = pairs.findIndex((pair) => nameOf(pair) === 'fieldSelector')
  const [pair = 'fieldSelector='] = at === -1 ? [] : pairs.slice(at, at + 1)
  const value = pair.includes('=') ? pair.slice(pair.indexOf('=') + 1) : ''
  const narrowed = `fieldSelector=${value}${value === '' ? '' : ','}${encodeURIComponent(EXCLUSIONS)}`
  const others = at === -1 ? [...pairs, narrowed] : pairs.with(at, narrowed)
  return `${path}?${others.filter((one) => one !== '').join('&')}`
}

/**
 * A question about the secrets of all namespaces is about those that may be asked for: a narrow
 * refusal does not answer a broad question.
 */
export function narrowedQuestion(asked: Attributes): Attributes {
  if (!isOfAllSecrets(asked) || asked.fieldSelector !== '') return asked
  return { ...asked, fieldSelector: EXCLUSIONS }
}

function isOfAllSecrets(asked: Attributes): boolean {
  const { isResourceRequest, apiGroup, resource, subresource, namespace } = asked
  const isSecrets = apiGroup === '' && resource === 'secrets' && subresource === ''
  return isResourceRequest && isSecrets && namespace === ''
}

function nameOf(pair: string): string {
  const equals = pair.indexOf('=')
  const name = equals === -1 ? pair : pair.slice(0, equals)
  try {
    return decodeURIComponent(name.replaceAll('+', ' '))
  } catch {
    return name
  }
}
