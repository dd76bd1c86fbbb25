import type { PolicyRule } from './snapshot.ts'

/** The ClusterRoles that the agent's manifest brings; each contains the ones before it. */
export type Tier = 'postern-view' | 'postern-edit' | 'postern-admin'

/** From the narrowest to the widest. */
export const TIERS: readonly Tier[] = ['postern-view', 'postern-edit', 'postern-admin']

/** What "*" among the verbs of a rule counts as. Verbs like impersonate, bind or sign are not in it. */
export const STANDARD_VERBS: readonly string[] = [
  'get',
  'list',
  'watch',
  'create',
  'update',
  'patch',
  'delete',
  'deletecollection',
]

const READ = ['get', 'list', 'watch']
const WRITE = ['create', 'update', 'patch', 'delete', 'deletecollection']

function rule(verbs: readonly string[], apiGroups: string[], ...resources: string[]): PolicyRule {
  return { verbs, apiGroups, resources, resourceNames: [], nonResourceUrls: [] }
}

// Kubernetes' own role "view" (bootstrappolicy viewRules), then what is outside of namespaces and no
// secret. RBAC has no "all but": resources of APIs that are not named here need postern-admin.
const VIEW: readonly PolicyRule[] = [
  rule(
    READ,
    [''],
    'bindings',
    'configmaps',
    'endpoints',
    'limitranges',
    'persistentvolumeclaims',
    'persistentvolumeclaims/status',
    'pods',
    'pods/ephemeralcontainers',
    'pods/log',
    'pods/status',
    'podtemplates',
    'replicationcontrollers',
    'replicationcontrollers/scale',
    'replicationcontrollers/status',
    'resourcequotas',
    'resourcequotas/status',
    'serviceaccounts',
    'services',
    'services/status',
  ),
  rule(
    READ,
    [''],
    'componentstatuses',
    'namespaces',
    'namespaces/status',
    'nodes',
    'nodes/metrics',
    'nodes/stats',
    'nodes/status',
    'persistentvolumes',
    'persistentvolumes/status',
  ),
  rule(READ, ['', 'events.k8s.io'], 'events'),
  rule(READ, ['admissionregistration.k8s.io'], '*'),
  rule(READ, ['apiextensions.k8s.io'], '*'),
  rule(READ, ['apiregistration.k8s.io'], '*'),
  rule(READ, ['apps'], '*'),
  rule(READ, ['autoscaling'], '*'),
  rule(READ, ['batch'], '*'),
  rule(READ, ['certificates.k8s.io'], '*'),
  rule(READ, ['coordination.k8s.io'], '*'),
  rule(READ, ['discovery.k8s.io'], '*'),
  rule(READ, ['flowcontrol.apiserver.k8s.io'], '*'),
  rule(READ, ['gateway.networking.k8s.io'], '*'),
  rule(READ, ['metrics.k8s.io'], '*'),
  rule(READ, ['networking.k8s.io'], '*'),
  rule(READ, ['node.k8s.io'], '*'),
  rule(READ, ['policy'], '*'),
  rule(READ, ['rbac.authorization.k8s.io'], '*'),
  rule(READ, ['resource.k8s.io'], '*'),
  rule(READ, ['scheduling.k8s.io'], '*'),
  rule(READ, ['snapshot.storage.k8s.io'], '*'),
  rule(READ, ['storage.k8s.io'], '*'),
  // Clusters that took these from system:authenticated need them here.
  rule(['create'], ['authorization.k8s.io'], 'selfsubjectaccessreviews', 'selfsubjectrulesreviews'),
  rule(['create'], ['authentication.k8s.io'], 'selfsubjectreviews'),
  {
    verbs: ['get'],
    apiGroups: [],
    resources: [],
    resourceNames: [],
    nonResourceUrls: [
      '/api',
      '/api/*',
      '/apis',
      '/apis/*',
      '/healthz',
      '/healthz/*',
      '/livez',
      '/livez/*',
      '/openapi',
      '/openapi/*',
      '/readyz',
      '/readyz/*',
      '/version',
      '/version/',
    ],
  },
]

// Kubernetes' own role "edit" (bootstrappolicy editRules) without "impersonate serviceaccounts" and
// "create serviceaccounts/token": with these one leaves the gateway's audit. And ephemeral containers.
const EDIT: readonly PolicyRule[] = [
  ...VIEW,
  rule(
    [...READ, ...WRITE],
    [''],
    'pods/attach',
    'pods/exec',
    'pods/portforward',
    'pods/proxy',
    'secrets',
    'services/proxy',
  ),
  rule(
    WRITE,
    [''],
    'configmaps',
    'persistentvolumeclaims',
    'pods',
    'replicationcontrollers',
    'replicationcontrollers/scale',
    'serviceaccounts',
    'services',
  ),
  rule(['update', 'patch'], [''], 'pods/ephemeralcontainers'),
  rule(['create'], [''], 'pods/eviction'),
  rule(WRITE, ['', 'events.k8s.io'], 'events'),
  rule(
    WRITE,
    ['apps'],
    'daemonsets',
    'deployments',
    'deployments/rollback',
    'deployments/scale',
    'replicasets',
    'replicasets/scale',
    'statefulsets',
    'statefulsets/scale',
  ),
  rule(WRITE, ['autoscaling'], 'horizontalpodautoscalers'),
  rule(WRITE, ['batch'], 'cronjobs', 'jobs'),
  rule(WRITE, ['coordination.k8s.io'], 'leases'),
  rule(WRITE, ['networking.k8s.io'], 'ingresses', 'networkpolicies'),
  rule(WRITE, ['policy'], 'poddisruptionbudgets'),
  rule(WRITE, ['resource.k8s.io'], 'resourceclaims', 'resourceclaimtemplates'),
]

const ADMIN: readonly PolicyRule[] = [
  rule(STANDARD_VERBS, ['*'], '*'),
  { verbs: ['get'], apiGroups: [], resources: [], resourceNames: [], nonResourceUrls: ['*'] },
]

/** What each tier's ClusterRole holds; tunnel-broker renders them into the agent's manifest. */
export const TIER_RULES: Readonly<Record<Tier, readonly PolicyRule[]>> = {
  'postern-view': VIEW,
  'postern-edit': EDIT,
  'postern-admin': ADMIN,
}
