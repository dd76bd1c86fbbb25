import fc from 'fast-check'

/** A request that changes nothing in the cluster, whatever becomes of it. */
export type GeneratedRequest = {
  readonly method: string
  readonly path: string
  readonly over: 'h1' | 'h2'
  readonly body: string | undefined
}

const words = (line: string) => line.split(' ')
const oneOf = (line: string) => fc.constantFrom(...words(line))

const namespace = oneOf(
  'team team team default default kube-system kube-system no-such-namespace team-2 postern-jit postern-system status finalize %74eam UPPER a.b',
)
const name = fc.oneof(
  oneOf(
    'box web a.b x%3Ay not%20there gr%C3%BCn UPPER - pods watch namespaces system:node %62ox b%2Bx a%25b',
  ),
  oneOf('status proxy $x (y) a,b a=b a;b a@b a!b ~ _ 0 https:web:8443 box: :80 %e2%82%ac'),
  fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?$/),
)
const group = fc.oneof(
  oneOf(
    'pods pods pods configmaps configmaps secrets services events namespaces nodes serviceaccounts endpoints nonsense',
  ).map((resource) => ({ prefix: '/api/v1', resource })),
  oneOf(
    'deployments deployments replicasets statefulsets daemonsets controllerrevisions nonsense',
  ).map((resource) => ({ prefix: '/apis/apps/v1', resource })),
  oneOf('jobs cronjobs').map((resource) => ({ prefix: '/apis/batch/v1', resource })),
  oneOf('roles rolebindings clusterroles clusterrolebindings').map((resource) => ({
    prefix: '/apis/rbac.authorization.k8s.io/v1',
    resource,
  })),
  oneOf('ingresses networkpolicies').map((resource) => ({
    prefix: '/apis/networking.k8s.io/v1',
    resource,
  })),
  oneOf('leases widgets').map((resource) => ({ prefix: '/apis/coordination.k8s.io/v1', resource })),
  oneOf('widgets pods').map((resource) => ({ prefix: '/apis/no.such.group/v1', resource })),
)
const subresource = fc.oneof(
  { weight: 2, arbitrary: fc.constant('') },
  {
    weight: 1,
    arbitrary: oneOf(
      'status log scale exec attach portforward eviction binding token ephemeralcontainers resize proxy finalize nonsense',
    ),
  },
)
const tail = fc.constantFrom('', '', '', '', 'x', 'x/y', 'x/y/z', 'status')
const queryPart = fc.oneof(
  oneOf(
    'limit=1 limit=abc limit= pretty=true continue=x resourceVersion=0 timeoutSeconds=x foo=bar foo FOO=%20',
  ),
  oneOf('labelSelector=run%3Dbox labelSelector=a%20in%20(b,c) labelSelector=,, labelSelector=!x'),
  oneOf(
    'fieldSelector=metadata.name%3Dbox fieldSelector=metadata.name=a.b,metadata.namespace=team',
  ),
  oneOf(
    'fieldSelector=metadata.name!%3Dbox fieldSelector=metadata.name%3D fieldSelector=%2C field%53elector=metadata.name%3Dbox',
  ),
  oneOf(
    'fieldSelector=metadata.name%3Da%2Fb fieldSelector=metadata.name%3D.. fieldSelector=metadata.namespace%3Dpostern-jit',
  ),
  oneOf(
    'resourceVersionMatch=NotOlderThan&resourceVersion=0 fieldManager=x gracePeriodSeconds=0 Watch=true',
  ),
  oneOf('watch=false watch=0 watch=FALSE w%61tch=false'),
)
const watchPart = oneOf('watch watch=true watch=1 watch=no watch= w%61tch=true watch=00 watch=True')
const discovery = oneOf(
  '/api /apis /api/v1 /apis/apps /apis/apps/v1 /version /openapi/v3 /apis/apps/v1beta9 /apis/no.such.group/v1 ' +
    '/healthz /readyz?verbose=true /livez/ping / /api/ /apis/ /version/ /metrics /logs /nonsense /api/v1/ /%61pi/v1 ' +
    '/openapi/v3/apis/apps/v1 /apis/apps/v1/namespaces /api/v1/namespaces/team/ /.well-known/openid-configuration',
)
const hostile = oneOf(
  '//api/v1/pods /api//v1/pods /api/v1/namespaces//pods /api/v1/namespaces/../pods /api/v1/./pods ' +
    '/api/v1/namespaces/%2e%2e/pods /api/v1/namespaces/a%2Fpods /api/v1/%zz /api/v1/pods%00 /api/v1\\pods ' +
    '/api/v1/pods?watch=true;x=1 /api/v1/pods?watch=1&watch=0 /api/v1/%ff/pods /api/v1/pods%5c /api/v1/%252e/pods ' +
    '/api/v1/watch /api/v1/proxy/pods /api/v1/watch/namespaces/team /apis/apps/v1/watch',
)

const resourcePath = fc
  .record({
    group,
    inPath: fc.constantFrom('', '', '', '', '', '', '', '', '', '/watch'),
    namespace: fc.option(namespace, { freq: 4 }),
    name: fc.option(name, { freq: 2 }),
    subresource,
    tail,
    query: fc.array(queryPart, { maxLength: 2 }),
    watch: fc.option(watchPart, { freq: 1 }),
    watches: fc.nat(14),
  })
  .map((parts) => {
    const { prefix, resource } = parts.group
    const inNamespace = parts.namespace === null ? '' : `/namespaces/${parts.namespace}`
    const below = parts.subresource === '' ? '' : `/${parts.subresource}`
    const further = below === '' || parts.tail === '' ? '' : `/${parts.tail}`
    const object = parts.name === null ? '' : `/${parts.name}${below}${further}`
    // Each watch takes a second: there must not be many.
    const query =
      parts.watch === null || parts.watches > 0 ? parts.query : [...parts.query, parts.watch]
    const path = `${prefix}${parts.inPath}${inNamespace}/${resource}${object}`
    return query.length === 0 ? path : `${path}?${query.join('&')}`
  })

const method = oneOf('GET GET GET GET HEAD POST PUT PATCH DELETE OPTIONS')
const over = fc.constantFrom<'h1' | 'h2'>('h1', 'h2')
const body = fc.constantFrom('{}', '{}', '[]', 'x', '{"metadata":{"generateName":"a-"}}', '')

/** Reads end within a second, and what would write is only tried. */
function harmless(verb: string, path: string): string {
  const isRead = verb === 'GET' || verb === 'HEAD'
  const more = isRead ? 'timeoutSeconds=1' : 'dryRun=All'
  return path.includes(more.split('=')[0] ?? '')
    ? path
    : `${path}${path.includes('?') ? '&' : '?'}${more}`
}

export const generatedRequest: fc.Arbitrary<GeneratedRequest> = fc
  .record({
    method,
    over,
    body,
    path: fc.oneof(
      { weight: 18, arbitrary: resourcePath },
      { weight: 1, arbitrary: discovery },
      { weight: 1, arbitrary: hostile },
    ),
  })
  .map(({ method: verb, over: protocol, body: text, path }) => {
    const hasBody = verb !== 'GET' && verb !== 'HEAD' && verb !== 'OPTIONS'
    return {
      method: verb,
      over: protocol,
      path: harmless(verb, path),
      body: hasBody ? text : undefined,
    }
  })
