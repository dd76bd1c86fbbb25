import {
  annotation,
  type ClusterAuditEvent,
  eventually,
  isByAccount,
  type PosternRecord,
  readClusterAuditLog,
} from '@postern/bootstrap'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { runs } from '../support/config.ts'
import { CLUSTER, type E2eWorld } from '../support/e2e-world.ts'
import { recordsWhere } from '../support/records.ts'
import { words } from '../support/words.ts'

const REQUESTS = runs(400)
const WORKERS = 12

const namespace = fc.constantFrom('team', 'default', 'kube-system', 'no-such-namespace', 'team-2')
const name = fc.oneof(
  fc.constantFrom(
    'box',
    'web',
    'a.b',
    'x%3Ay',
    'not%20there',
    'gr%C3%BCn',
    'UPPER',
    '-',
    'pods',
    'watch',
  ),
  fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?$/),
)
const core = fc.constantFrom('pods', 'configmaps', 'services', 'events', 'namespaces', 'nonsense')
const apps = fc.constantFrom('deployments', 'replicasets', 'statefulsets', 'nonsense')
const query = fc.constantFrom(
  '',
  '?limit=1',
  '?labelSelector=run%3Dbox',
  '?fieldSelector=metadata.name%3Dbox',
  '?fieldSelector=metadata.name=a.b,metadata.namespace=team',
  '?watch=true',
  '?watch=false',
  '?watch=1&fieldSelector=metadata.name%3Dbox',
  '?pretty=true',
  '?resourceVersion=0&resourceVersionMatch=NotOlderThan',
)
const subresource = fc.constantFrom('', '', '', '/status', '/log', '/scale', '/exec', '/nonsense')
const discovery = fc.constantFrom(
  ...words('/api /apis /api/v1 /apis/apps /apis/apps/v1 /version /openapi/v3 /apis/apps/v1beta9'),
  ...words('/healthz /readyz?verbose=true / /apis/no.such.group/v1'),
)

const group = fc.oneof(
  core.map((resource) => ({ prefix: '/api/v1', resource })),
  apps.map((resource) => ({ prefix: '/apis/apps/v1', resource })),
)
const resourcePath = fc
  .record({ group, namespace: fc.option(namespace), name: fc.option(name), subresource, query })
  .chain((parts) => fc.constantFrom('', '', '', '', '/watch').map((watch) => ({ ...parts, watch })))
  .map(({ group: { prefix, resource }, watch, ...parts }) => {
    const inNamespace = parts.namespace === null ? '' : `/namespaces/${parts.namespace}`
    const object = parts.name === null ? '' : `/${parts.name}${parts.subresource}`
    return `${prefix}${watch}${inNamespace}/${resource}${object}${parts.query}`
  })
const method = fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE')
const generated = fc.oneof(
  { weight: 1, arbitrary: fc.record({ method: fc.constant('GET'), path: discovery }) },
  {
    weight: 9,
    arbitrary: fc.record({ method, path: resourcePath }).map(({ method: verb, path }) => {
      const isRead = verb === 'GET' || verb === 'HEAD'
      // Watches must end; whatever is written is only tried, so that it changes nothing for the next.
      const more = isRead ? 'timeoutSeconds=1' : 'dryRun=All'
      return { method: verb, path: `${path}${path.includes('?') ? '&' : '?'}${more}` }
    }),
  },
)

export function forwardedAsAuthorized(world: () => E2eWorld): void {
  describe('property 7: what was authorized is what is forwarded', () => {
    test(`${REQUESTS} generated requests: the cluster saw each as it was decided, and none that was not`, async () => {
      const seed = Date.now() & 0x7fffffff
      await world().createUser('fuzzer', ['developers'])
      const { secret } = await world().token('fuzzer')
      const requests = fc.sample(generated, { seed, numRuns: REQUESTS })
      const queue = [...requests]
      const worker = async () => {
        for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
          const headers = { 'content-type': 'application/json', accept: 'application/json' }
          const hasBody = next.method !== 'GET' && next.method !== 'HEAD'
          const order = { ...next, headers, ...(hasBody ? { body: '{}' } : {}) }
          await world().ask(secret, order)
        }
      }
      await Promise.all(Array.from({ length: WORKERS }, worker))

      const records = await eventually('every outcome to be stored', 60_000, async () => {
        const found = await recordsWhere(world(), 'user=fuzzer')
        const outcomes = found.filter(({ stage }) => stage === 'ResponseComplete')
        expect(outcomes).toHaveLength(REQUESTS)
        return outcomes
      })
      const seen = byAuditId(readClusterAuditLog(world().cluster(CLUSTER)).filter(isByAccount))
      const different: unknown[] = []
      let forwarded = 0
      for (const record of records) {
        const events = seen.get(record.auditID) ?? []
        const isForwarded = annotation(record, 'end') !== ''
        forwarded += isForwarded ? 1 : 0
        if (!isForwarded && events.length > 0) different.push({ record, events })
        // A list that fails early, a health check: kube-apiserver audits those too.
        if (isForwarded && events.length === 0) different.push({ record, events })
        for (const event of events) {
          const [decided, done] = [attributesOf(record), attributesOf(event)]
          if (JSON.stringify(decided) !== JSON.stringify(done)) different.push({ decided, done })
        }
      }
      expect({ seed, different }).toEqual({ seed, different: [] })
      expect(forwarded).toBeGreaterThan(REQUESTS / 4)
      expect(REQUESTS - forwarded).toBeGreaterThan(REQUESTS / 20)
    })
  })
}

function byAuditId(events: readonly ClusterAuditEvent[]): Map<string, ClusterAuditEvent[]> {
  const byId = new Map<string, ClusterAuditEvent[]>()
  for (const event of events) byId.set(event.auditID, [...(byId.get(event.auditID) ?? []), event])
  return byId
}

type Attributes = Pick<PosternRecord, 'verb' | 'requestURI' | 'objectRef'>

/** What RBAC decides on, and the address: a path means what it says once it is decoded. */
function attributesOf({ verb, requestURI, objectRef }: Attributes) {
  const { resource, subresource, namespace: space, name: object, apiGroup } = objectRef ?? {}
  const [path = '', query = ''] = requestURI.replace(/^\/clusters\/[^/?]+/, '').split('?')
  const meant = path === '' || path === '/' ? '/' : decodeURIComponent(path).replace(/\/$/, '')
  return { verb, path: meant, query, resource, subresource, space, object, apiGroup }
}
