/**
 * The resources of API groups that are Kubernetes' own (1.35, the stable and beta versions). Nobody
 * else adds to these groups, so a resource that is not named here does not exist in them.
 */
const RESOURCES: Readonly<Record<string, readonly string[]>> = {
  '': [
    'bindings',
    'componentstatuses',
    'configmaps',
    'endpoints',
    'events',
    'limitranges',
    'namespaces',
    'nodes',
    'persistentvolumeclaims',
    'persistentvolumes',
    'pods',
    'podtemplates',
    'replicationcontrollers',
    'resourcequotas',
    'secrets',
    'serviceaccounts',
    'services',
    // Not resources that are stored, but verbs are granted on them (impersonation).
    'users',
    'groups',
  ],
  apps: ['controllerrevisions', 'daemonsets', 'deployments', 'replicasets', 'statefulsets'],
  autoscaling: ['horizontalpodautoscalers'],
  batch: ['cronjobs', 'jobs'],
  policy: ['poddisruptionbudgets'],
}

/** What "*" among the verbs means for a subresource that answers only to some (KUBERNETES API reference). */
const SUBRESOURCE_VERBS: Readonly<Record<string, readonly string[]>> = {
  attach: ['get', 'create'],
  binding: ['create'],
  ephemeralcontainers: ['get', 'update', 'patch'],
  eviction: ['create'],
  exec: ['get', 'create'],
  log: ['get'],
  portforward: ['get', 'create'],
  resize: ['get', 'update', 'patch'],
  scale: ['get', 'update', 'patch'],
  status: ['get', 'update', 'patch'],
  token: ['create'],
}

/** Whether the group may have the resource: "pods/log" is looked up as "pods". */
export function mayExist(group: string, resource: string): boolean {
  const known = Object.hasOwn(RESOURCES, group) ? RESOURCES[group] : undefined
  const [name = ''] = resource.split('/')
  return known === undefined || name === '*' || known.includes(name)
}

/** The verbs of a subresource of Kubernetes' own; undefined for resources, and where it is not known. */
export function verbsOfSubresource(group: string, resource: string): readonly string[] | undefined {
  const [, subresource] = resource.split('/')
  if (subresource === undefined || !Object.hasOwn(RESOURCES, group)) return undefined
  return Object.hasOwn(SUBRESOURCE_VERBS, subresource) ? SUBRESOURCE_VERBS[subresource] : undefined
}
