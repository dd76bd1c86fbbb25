import { deepStrictEqual, rejects } from 'node:assert/strict'
import { eventually } from '@postern/bootstrap'
import { CLUSTER, recordsWhere } from '@postern/e2e/support'
import type { Check } from '../check.ts'
import { bytesOf, overHttp1, overHttp2, rawly } from '../client.ts'
import { expectMatch, expectRefused, expectStatus } from '../expect.ts'
import { grantedUser } from '../granted-user.ts'
import { OPERATOR, type RecordingWorld } from '../recording/recording-world.ts'
import { WHOLE } from '../worlds.ts'

const TEAM = '/api/v1/namespaces/team'
const RECORDED_MS_MAX = 60_000
const WEBSOCKET = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  'Sec-WebSocket-Protocol: v5.channel.k8s.io',
]

const core = (verbs: readonly string[], ...resources: string[]) => ({
  verbs,
  apiGroups: [''],
  resources,
})

async function statusOf(world: RecordingWorld, token: string, method: string, path: string) {
  world.api.reset()
  const body = method === 'GET' ? {} : { body: '{}' }
  return (await overHttp1(world, { method, target: path, token, ...body })).status
}

/** Which of them pass, and that none of the others arrives. */
async function expectStatuses(
  world: RecordingWorld,
  token: string,
  wanted: Readonly<Record<string, number>>,
): Promise<void> {
  for (const [request, status] of Object.entries(wanted)) {
    const [method = '', path = ''] = request.split(' ')
    const seen = await statusOf(world, token, method, path)
    deepStrictEqual({ request, status: seen }, { request, status })
    deepStrictEqual(world.api.arrived.length, status === 200 ? 1 : 0, request)
  }
}

export const attributeChecks: readonly Check[] = [
  {
    id: 'RI-10',
    title: 'a method that is no verb is denied, also to whoever may do all, and also to a proxy',
    async run(worlds) {
      const world = await worlds.recording()
      await expectStatuses(world, world.token, {
        'OPTIONS /api/v1/pods': 405,
        [`OPTIONS ${TEAM}/services/s/proxy/x`]: 403,
        'OPTIONS /version': 405,
      })
    },
  },
  {
    id: 'RI-11',
    title: 'a grant in a namespace shows the namespace itself, and no other',
    async run(worlds) {
      const world = await worlds.cluster()
      const rules = [core(['get', 'list'], 'namespaces', 'pods')]
      const granted = { name: 'neighbour', cluster: CLUSTER, rules, namespaces: ['team'] }
      const token = await grantedUser(world, granted)
      const statuses = await Promise.all(
        [TEAM, '/api/v1/namespaces/default', '/api/v1/namespaces', '/api/v1/pods'].map(
          async (path) => (await world.ask(token, { path })).status,
        ),
      )
      deepStrictEqual(statuses, [200, 403, 403, 403])
    },
  },
  {
    id: 'RI-13',
    title:
      'a rule with names holds for a list or a watch of just that name, for no other selector, and never for a collection to delete',
    async run(worlds) {
      const world = await worlds.recording()
      const verbs = ['get', 'list', 'watch', 'create', 'delete', 'deletecollection']
      const rules = [{ ...core(verbs, 'secrets'), resourceNames: ['s'] }]
      const token = await world.user('named', rules, ['team'])
      const list = `${TEAM}/secrets`
      await expectStatuses(world, token, {
        [`GET ${list}/s`]: 200,
        [`GET ${list}?fieldSelector=metadata.name%3Ds`]: 200,
        [`GET ${list}?fieldSelector=metadata.name%3D%3Ds`]: 200,
        [`GET ${list}?watch=1&fieldSelector=type%3Dx,metadata.name=s`]: 200,
        [`DELETE ${list}/s`]: 200,
        [`GET ${list}`]: 403,
        [`GET ${list}/t`]: 403,
        [`GET ${list}?fieldSelector=metadata.name!%3Ds`]: 403,
        [`GET ${list}?fieldSelector=metadata.name%3Dt`]: 403,
        [`GET ${list}?labelSelector=metadata.name%3Ds`]: 403,
        [`GET ${list}?limit=abc&fieldSelector=metadata.name%3Ds`]: 403,
        [`GET ${list}?FieldSelector=metadata.name%3Ds`]: 403,
        [`DELETE ${list}?fieldSelector=metadata.name%3Ds`]: 403,
      })
    },
  },
  {
    id: 'RI-18',
    title: 'a selector never widens what is allowed: who may not list may not list one',
    async run(worlds) {
      const world = await worlds.recording()
      const token = await world.user('one-pod', [core(['get'], 'pods')], ['team'])
      await expectStatuses(world, token, {
        [`GET ${TEAM}/pods/p`]: 200,
        [`GET ${TEAM}/pods?fieldSelector=metadata.name%3Dp`]: 403,
        [`GET ${TEAM}/pods?labelSelector=a%3Db`]: 403,
        'GET /api/v1/pods?fieldSelector=metadata.namespace%3Dteam': 403,
      })
    },
  },
  {
    id: 'RI-20',
    title:
      'exec, attach and port-forward need create beside the verb of the method, upgraded or not',
    async run(worlds) {
      const world = await worlds.recording()
      const streams = ['pods/exec', 'pods/attach', 'pods/portforward']
      const onlyGet = await world.user('only-get', [core(['get'], ...streams)], ['team'])
      const onlyCreate = await world.user('only-create', [core(['create'], ...streams)], ['team'])
      for (const stream of ['exec', 'attach', 'portforward']) {
        const path = `${TEAM}/pods/p/${stream}`
        await expectStatuses(world, onlyGet, { [`GET ${path}`]: 403, [`POST ${path}`]: 403 })
        await expectStatuses(world, onlyCreate, { [`GET ${path}`]: 403, [`POST ${path}`]: 200 })
        world.api.reset()
        const bytes = bytesOf(world, { target: path, token: onlyGet, lines: WEBSOCKET })
        const reply = await rawly(world, bytes)
        expectRefused(world, reply, 403)
        expectMatch(reply.text, /cannot create resource \\"pods\/(?:exec|attach|portforward)\\"/)
      }
    },
  },
  {
    id: 'RI-22',
    title: 'what writes, escalates or runs commands stands in the log before it is sent',
    async run(worlds) {
      const world = await worlds.recording()
      const requests = [
        `PATCH ${TEAM}/pods/p/ephemeralcontainers`,
        `POST ${TEAM}/pods/p/eviction`,
        `POST ${TEAM}/pods/p/binding`,
        `PATCH ${TEAM}/pods/p/resize`,
        `POST ${TEAM}/pods/p/exec`,
        `GET ${TEAM}/pods/p/proxy/x`,
        `GET ${TEAM}/services/s/proxy/x`,
        `POST ${TEAM}/serviceaccounts/s/token`,
        'PUT /apis/certificates.k8s.io/v1/certificatesigningrequests/x/approval',
        `PUT /apis/apps/v1/namespaces/team/deployments/d/scale`,
        `PUT /apis/apps/v1/namespaces/team/deployments/d/status`,
        'PUT /api/v1/namespaces/team/finalize',
        'POST /apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations',
        'PUT /apis/apiregistration.k8s.io/v1/apiservices/v1.x',
        'POST /apis/rbac.authorization.k8s.io/v1/clusterroles',
        `GET ${TEAM}/secrets/s`,
        `GET ${TEAM}/secrets?watch=1`,
        `DELETE ${TEAM}/pods`,
        `POST ${TEAM}/pods?dryRun=All`,
      ]
      const before = new Map<string, string>()
      for (const request of requests) {
        const [method = '', target = ''] = request.split(' ')
        world.api.handlers.request = (arrived, response, incoming) => {
          incoming.resume()
          before.set(arrived.auditId, request)
          response.writeHead(200).end('{}')
        }
        expectStatus(await overHttp1(world, { method, target, body: '{}' }), 200)
      }
      deepStrictEqual(before.size, requests.length)
      await eventually('an intent of each', RECORDED_MS_MAX, async () => {
        const records = await recordsWhere(world.e2e, `user=${OPERATOR}&cluster=recorded`)
        const intents = new Set(
          records.filter(({ stage }) => stage === 'RequestReceived').map(({ auditID }) => auditID),
        )
        const missing = [...before].filter(([id]) => !intents.has(id))
        deepStrictEqual(missing, [])
      })
    },
  },
  {
    id: 'RI-24',
    title: 'nodes/proxy is for whoever has a rule that names it, with create, whatever * says',
    async run(worlds) {
      const world = await worlds.recording()
      const path = '/api/v1/nodes/n/proxy/exec/a/b/c'
      await expectStatuses(world, world.token, { [`GET ${path}`]: 403, [`POST ${path}`]: 403 })
      const byNodes = await world.user('by-nodes', [core(['*'], 'nodes', '*/proxy')], 'all')
      await expectStatuses(world, byNodes, { 'GET /api/v1/nodes/n': 200, [`GET ${path}`]: 403 })
      const named = await world.user('by-name', [core(['get', 'create'], 'nodes/proxy')], 'all')
      await expectStatuses(world, named, { [`GET ${path}`]: 200, [`DELETE ${path}`]: 403 })
      const reader = await world.user('node-reader', [core(['get'], 'nodes/proxy')], 'all')
      await expectStatuses(world, reader, { [`GET ${path}`]: 403 })
    },
  },
  {
    id: 'RI-25',
    title: 'pods/proxy and services/proxy write whatever the method: they need create too',
    async run(worlds) {
      const world = await worlds.recording()
      const proxies = ['pods/proxy', 'services/proxy']
      const reader = await world.user('proxy-get', [core(['get'], ...proxies)], ['team'])
      const both = await world.user('proxy-both', [core(['get', 'create'], ...proxies)], ['team'])
      for (const path of [`${TEAM}/pods/https:p:8443/proxy/a`, `${TEAM}/services/s/proxy/`]) {
        await expectStatuses(world, reader, { [`GET ${path}`]: 403 })
        await expectStatuses(world, both, { [`GET ${path}`]: 200, [`PUT ${path}`]: 403 })
      }
      await expectStatuses(world, both, {
        [`GET ${TEAM}/pods/p/proxy/..%2f..%2fy`]: 400,
        [`GET ${TEAM}/pods/p/proxy/a%2Fb`]: 400,
        [`GET ${TEAM}/pods/p/proxy//x`]: 400,
      })
    },
  },
  {
    id: 'RI-26',
    title: 'a watch by its path is only read, and names a resource',
    async run(worlds) {
      const world = await worlds.recording()
      await expectStatuses(world, world.token, {
        'GET /api/v1/watch': 400,
        'GET /apis/apps/v1/watch': 400,
        'POST /api/v1/watch/namespaces/a/pods': 405,
        'DELETE /api/v1/watch/namespaces/a/pods': 405,
        'HEAD /api/v1/watch/namespaces/a/pods': 405,
      })
    },
  },
  {
    id: 'RI-29',
    title:
      'what lies in no namespace is not reached through one: a grant in a namespace gives no cluster-scoped custom resource',
    async run(worlds) {
      const world = await worlds.wholeCluster()
      const { kubectl } = world.cluster(WHOLE)
      await kubectl.ok(['apply', '-f', '-'], JSON.stringify(WIDGETS))
      await kubectl.ok(['wait', '--for=condition=Established', 'crd/widgets.example.test'])
      await kubectl.ok(['create', 'namespace', 'team'])
      const widget = { apiVersion: 'example.test/v1', kind: 'Widget', metadata: { name: 'w' } }
      await eventually('a widget', RECORDED_MS_MAX, () =>
        kubectl.ok(['apply', '-f', '-'], JSON.stringify(widget)),
      )
      const rules = [{ verbs: ['*'], apiGroups: ['example.test'], resources: ['*'] }]
      const granted = { name: 'scoped', cluster: WHOLE, rules, namespaces: ['team'] }
      await grantedUser(world, granted)
      const user = await world.kubectlOf('scoped', WHOLE)
      const get = async (path: string) => (await user.run(['get', '--raw', path])).stderr
      const through = await get('/apis/example.test/v1/namespaces/team/widgets/w')
      expectMatch(through, /NotFound|could not find/)
      expectMatch(await get('/apis/example.test/v1/widgets/w'), /Forbidden/)
      expectMatch(await kubectl.ok(['get', 'widget', 'w', '-o', 'name']), /widget/)
    },
  },
  {
    id: 'RI-30',
    title:
      'wildcards mean what they mean in RBAC: "*" all, "*/scale" every scale, "pods/*" nothing, so that no role may say it; a path ends in "*" or is whole',
    async run(worlds) {
      const world = await worlds.recording()
      for (const nothing of ['pods/*', '*/*']) {
        const rules = [core(['get'], nothing)]
        const order = { name: 'means-nothing', rules }
        const made = world.e2e.admin.api.call('POST', '/v1/roles', order)
        await rejects(made, /RBAC gives "pods\/\*" and "\*\/\*" no meaning/)
      }
      const rules = [
        core(['list'], 'pods'),
        { verbs: ['get'], apiGroups: ['*'], resources: ['*/scale'] },
        { verbs: ['get'], nonResourceUrls: ['/metrics', '/logs/*'] },
      ]
      const token = await world.user('wildcards', rules, 'all')
      await expectStatuses(world, token, {
        [`GET ${TEAM}/pods/p/log`]: 403,
        [`GET ${TEAM}/pods/p`]: 403,
        'GET /apis/apps/v1/namespaces/team/deployments/d/scale': 200,
        'GET /apis/apps/v1/namespaces/team/deployments/d': 403,
        'GET /metrics': 200,
        'GET /metrics/slis': 403,
        'GET /logs/a/b': 200,
        'GET /logs': 403,
      })
    },
  },
  {
    id: 'RI-31',
    title: 'over h1 and h2 the same request is decided alike',
    async run(worlds) {
      const world = await worlds.recording()
      const token = await world.user('alike', [core(['get', 'list'], 'pods')], ['team'])
      for (const target of [
        `${TEAM}/pods`,
        `${TEAM}/pods?watch`,
        '/api/v1/pods',
        `${TEAM}/pods/p/log`,
      ]) {
        const [one, other] = [
          await overHttp1(world, { target, token }),
          await overHttp2(world, { target, token }),
        ]
        deepStrictEqual({ target, status: one.status }, { target, status: other.status })
      }
    },
  },
]

const WIDGETS = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.test' },
  spec: {
    group: 'example.test',
    names: { kind: 'Widget', plural: 'widgets', singular: 'widget', listKind: 'WidgetList' },
    scope: 'Cluster',
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: 'object' } },
      },
    ],
  },
}
