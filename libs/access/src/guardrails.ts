import type { Attributes } from './attributes.ts'
import { type FieldRequirement, parseFieldSelector, requiredValue } from './field-selector.ts'

/** Where the agent runs. Its key and its rights are there. */
export const AGENT_NAMESPACE = 'postern-system'

/** Where the accounts are that Postern makes for people, with the Secrets that their tokens hang on. */
export const ACCOUNT_NAMESPACE = 'postern-jit'

export const PROTECTED_NAMESPACES: readonly string[] = [AGENT_NAMESPACE, ACCOUNT_NAMESPACE]
const PROTECTED_NAMES = /^(?:postern-|ptr-)/
const ACCOUNT_BINDING = /^ptr-/
const READ_VERBS = new Set(['get', 'list', 'watch'])
const ACCOUNT_NAMES = /^system:serviceaccounts?:(?:postern-system|postern-jit)(?::|$)/
// Whoever may change these, changes what Postern's own parts may do.
const PROTECTED_RESOURCES = new Set([
  'rbac.authorization.k8s.io/clusterroles',
  'rbac.authorization.k8s.io/clusterrolebindings',
  'admissionregistration.k8s.io/validatingadmissionpolicies',
  'admissionregistration.k8s.io/validatingadmissionpolicybindings',
])
const COMMAND_SUBRESOURCES = new Set(['exec', 'attach', 'portforward', 'proxy'])

export function isProtectedNamespace(namespace: string): boolean {
  return PROTECTED_NAMESPACES.includes(namespace)
}

/** Why no grant can allow this, or undefined. These rules stand above every policy. */
export function guardrailAgainst(asked: Attributes): string | undefined {
  if (asked.verb === '') return 'Kubernetes knows no verb for this method here'
  // kube-apiserver's parser still knows these paths; RequestInfo and routing differ on them.
  if (asked.verb === 'proxy') return 'paths below /api/v1/proxy are not served; use .../proxy'
  if (asked.verbInPath === true && asked.method !== 'GET') {
    return 'paths below /api/v1/watch can only be read; use GET'
  }
  if (!asked.isResourceRequest) return undefined
  if (asked.resource === '') return 'the request names no resource'
  if (asked.verb === 'impersonate') return impersonation(asked)
  if (isProtectedNamespace(asked.namespace)) return inProtectedNamespace(asked)
  if (asked.namespace === '') return atClusterScope(asked)
  return bindingOfAccount(asked)
}

function inProtectedNamespace({ verb, resource, subresource, namespace }: Attributes) {
  if (READ_VERBS.has(verb) && resource !== 'secrets' && !COMMAND_SUBRESOURCES.has(subresource)) {
    return undefined
  }
  return `the namespace "${namespace}" belongs to Postern: nobody changes it, reads its secrets or runs commands in it through Postern`
}

function atClusterScope(asked: Attributes): string | undefined {
  if (asked.apiGroup === '' && asked.resource === 'secrets') {
    if (!reachesProtectedNamespaces(asked.fieldSelector)) return undefined
    const others = PROTECTED_NAMESPACES.map((name) => `metadata.namespace!=${name}`).join(',')
    return `secrets of all namespaces would include Postern's own; ask for one namespace, or with --field-selector ${others}`
  }
  if (READ_VERBS.has(asked.verb)) return undefined
  if (!PROTECTED_RESOURCES.has(`${asked.apiGroup}/${asked.resource}`)) return undefined
  if (asked.verb === 'deletecollection' || PROTECTED_NAMES.test(asked.name)) {
    return `${asked.resource} of Postern are changed by installing Postern, not through it`
  }
  return undefined
}

/** Accounts of sessions that reach some namespaces are bound there, beside what others bind. */
function bindingOfAccount({ verb, apiGroup, resource, name }: Attributes): string | undefined {
  const isBinding = apiGroup === 'rbac.authorization.k8s.io' && resource === 'rolebindings'
  if (!isBinding || READ_VERBS.has(verb) || !ACCOUNT_BINDING.test(name)) return undefined
  return 'what binds an account of a session is changed by changing grants'
}

function impersonation({ resource, name, namespace }: Attributes): string | undefined {
  const isAccount = resource === 'serviceaccounts' && isProtectedNamespace(namespace)
  if (!isAccount && !ACCOUNT_NAMES.test(name)) return undefined
  return 'nobody acts as an account of Postern'
}

/** Whether a list over all namespaces with this selector could hold something of Postern's own. */
export function reachesProtectedNamespaces(fieldSelector: string): boolean {
  const requirements = parseFieldSelector(fieldSelector)
  if (requirements === undefined) return true
  const only = requiredValue(requirements, 'metadata.namespace')
  if (only !== undefined) return only === '' || isProtectedNamespace(only)
  return !PROTECTED_NAMESPACES.every((namespace) => excludes(requirements, namespace))
}

function excludes(requirements: readonly FieldRequirement[], namespace: string): boolean {
  return requirements.some(
    ({ field, operator, value }) =>
      field === 'metadata.namespace' && operator === '!=' && value === namespace,
  )
}
