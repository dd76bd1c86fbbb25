import type { Attributes } from './attributes.ts'
import type { LabelSelector, PolicyRule, Snapshot } from './snapshot.ts'

/**
 * An independent model of the decision, for tests: naive, quantified over everything, with nothing
 * compiled or shared. It follows the sentences of the specification, one predicate each. Moments are
 * compared as texts of one form.
 */
export function modelAllows(
  snapshot: Snapshot,
  userId: string,
  clusterId: string,
  asked: Attributes,
  at: string,
): boolean {
  const user = [...snapshot.users.values()].find((one) => one.id === userId)
  const cluster = [...snapshot.clusters.values()].find((one) => one.id === clusterId)
  if (!user || user.disabled || !cluster) return false
  if (modelForbids(asked)) return false

  const holds = [...snapshot.grants.values()].filter((grant) => {
    const isSubject = grant.subjects.some((subject) =>
      subject.kind === 'group'
        ? user.groupIds.some((id) => id === subject.id && snapshot.groups.has(id))
        : subject.kind === 'user' && subject.id === userId,
    )
    const { clusterIds, labels } = grant.clusters
    const isHere =
      clusterIds.some((id) => id === clusterId) ||
      (labels ? modelSelects(labels, cluster.labels) : false)
    const begun = !grant.notBefore || at >= grant.notBefore
    const ended = grant.notAfter ? at >= grant.notAfter : false
    const somewhere =
      grant.namespaces.all || grant.namespaces.names.length > 0 || !!grant.namespaces.labels
    const rules = snapshot.roles.get(grant.roleId)?.rules ?? []
    return isSubject && isHere && begun && !ended && somewhere && rules.length > 0
  })
  if (modelIsBasic(asked)) return holds.length > 0

  const isAllowed = (verb: string) =>
    holds.some((grant) => {
      const { all, names, labels } = grant.namespaces
      const ns = asked.namespace
      const seen = cluster.namespaces.get(ns)
      const isIn =
        all ||
        (ns !== '' &&
          (names.some((name) =>
            new RegExp(`^${name.replaceAll('.', '\\.').replaceAll('*', '.*')}$`).test(ns),
          ) ||
            (labels && seen ? modelSelects(labels, seen) : false)))
      return (
        isIn &&
        (snapshot.roles.get(grant.roleId)?.rules ?? []).some((rule) => modelRule(rule, asked, verb))
      )
    })
  const path = `${asked.apiGroup}:${asked.resource}/${asked.subresource}`
  const writes = /^:(pods\/(exec|attach|portforward|proxy)|(services|nodes)\/proxy)$/.test(path)
  return isAllowed(asked.verb) && (!asked.isResourceRequest || !writes || isAllowed('create'))
}

function modelForbids(asked: Attributes): boolean {
  if (asked.verb === '' || asked.verb === 'proxy') return true
  if (!asked.isResourceRequest) return false
  const isRead = ['get', 'list', 'watch'].includes(asked.verb)
  const isOurs = /^postern-(system|jit)$/.test(asked.namespace)
  const isSecret = asked.resource === 'secrets'
  if (asked.resource === '') return true
  if (asked.verb === 'impersonate') {
    return (isOurs && asked.resource === 'serviceaccounts') || asked.name.includes('postern-jit')
  }
  if (isOurs)
    return !isRead || isSecret || /^(exec|attach|portforward|proxy)$/.test(asked.subresource)
  if (asked.namespace !== '') return false
  if (isSecret && asked.apiGroup === '') {
    const terms = asked.fieldSelector.split(',')
    const excluded = ['postern-system', 'postern-jit'].every((ns) =>
      terms.includes(`metadata.namespace!=${ns}`),
    )
    return !excluded && !terms.includes('metadata.namespace=a')
  }
  const isRole = asked.resource === 'clusterroles' && asked.apiGroup === 'rbac.authorization.k8s.io'
  return (
    isRole && !isRead && (asked.verb === 'deletecollection' || asked.name.startsWith('postern-'))
  )
}

function modelIsBasic(asked: Attributes): boolean {
  if (asked.isResourceRequest) {
    const id = `${asked.verb} ${asked.apiGroup}/${asked.resource}/${asked.subresource}/${asked.namespace}/${asked.name}`
    return id === 'create authorization.k8s.io/selfsubjectaccessreviews///'
  }
  return (
    asked.verb === 'get' &&
    /^\/(api(\/[^/]+)?|apis(\/[^/]+){0,2}|openapi(\/.*)?|version|healthz|livez|readyz)\/?$/.test(
      asked.path,
    )
  )
}

function modelSelects(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  const pairs = Object.entries(selector.matchLabels).map(([key, value]) => ({
    key,
    operator: 'In',
    values: [value],
  }))
  return [...pairs, ...selector.matchExpressions].every(({ key, operator, values }) => {
    const has = Object.keys(labels).includes(key)
    const isIn = has && values.some((value) => value === labels[key])
    const table: Record<string, boolean> = {
      In: isIn,
      NotIn: !isIn && values.length > 0,
      Exists: has && values.length === 0,
      DoesNotExist: !has && values.length === 0,
    }
    return table[operator] ?? false
  })
}

function modelRule(rule: PolicyRule, asked: Attributes, verb: string): boolean {
  const verbs = verb === 'impersonate' ? [verb] : [verb, '*']
  if (!verbs.some((one) => rule.verbs.includes(one))) return false
  if (!asked.isResourceRequest) {
    return rule.nonResourceUrls.some((url) => {
      const stem = url.replace(/\*+$/, '')
      return stem === url ? url === asked.path : asked.path.slice(0, stem.length) === stem
    })
  }
  const full = [asked.resource, asked.subresource].filter((part) => part !== '').join('/')
  const names =
    full === 'nodes/proxy' && asked.apiGroup === ''
      ? [full]
      : [full, '*', ...(asked.subresource ? [`*/${asked.subresource}`] : [])]
  const isNamed =
    rule.resourceNames.length === 0 ||
    (asked.name !== '' && verb !== 'deletecollection' && rule.resourceNames.includes(asked.name))
  return (
    [asked.apiGroup, '*'].some((group) => rule.apiGroups.includes(group)) &&
    names.some((name) => rule.resources.includes(name)) &&
    isNamed
  )
}
