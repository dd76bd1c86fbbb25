import { deepStrictEqual, ok } from 'node:assert/strict'
import { annotation, eventually, type PosternRecord, readClusterAuditLog } from '@postern/bootstrap'
import { CLUSTER, type E2eWorld, recordsWhere } from '@postern/e2e/support'
import { z } from 'zod'
import type { Check } from '../check.ts'
import { outcomeOf, overHttp1 } from '../client.ts'
import { expectMatch, expectStatus } from '../expect.ts'
import type { RecordingWorld } from '../recording/recording-world.ts'

const TEAM = '/api/v1/namespaces/team'
const PODS = `${TEAM}/pods`
const STORED_MS_MAX = 60_000
const JSON_TYPE = 'Content-Type: application/json'

const microTime = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
/** audit.k8s.io/v1 Event (k8s.io/apiserver/pkg/apis/audit/v1/types.go): these fields and no others. */
const auditEvent = z.strictObject({
  kind: z.literal('Event'),
  apiVersion: z.literal('audit.k8s.io/v1'),
  level: z.enum(['None', 'Metadata', 'Request', 'RequestResponse']),
  auditID: z.uuid(),
  stage: z.enum(['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic']),
  requestURI: z.string(),
  verb: z.string(),
  user: z.strictObject({
    username: z.string().optional(),
    uid: z.string().optional(),
    groups: z.array(z.string()).optional(),
  }),
  sourceIPs: z.array(z.string()),
  userAgent: z.string().optional(),
  objectRef: z
    .strictObject({
      resource: z.string().optional(),
      namespace: z.string().optional(),
      name: z.string().optional(),
      apiGroup: z.string().optional(),
      apiVersion: z.string().optional(),
      subresource: z.string().optional(),
    })
    .optional(),
  responseStatus: z
    .strictObject({
      metadata: z.strictObject({}),
      status: z.string().optional(),
      message: z.string().optional(),
      reason: z.string().optional(),
      code: z.number(),
    })
    .optional(),
  requestReceivedTimestamp: microTime,
  stageTimestamp: microTime,
  annotations: z.record(z.string().regex(/^[a-z0-9.]+\/[a-z0-9-]+$/), z.string()),
})

/** All records of a request, once its outcome is among them. */
async function recordsOf(world: E2eWorld, auditId: string): Promise<PosternRecord[]> {
  return await eventually(`the records of ${auditId}`, STORED_MS_MAX, async () => {
    const records = await recordsWhere(world, `auditId=${auditId}`)
    if (!records.some(({ stage }) => stage === 'ResponseComplete')) throw new Error('not yet')
    return records
  })
}

async function stagesOf(world: RecordingWorld, auditId: string): Promise<string[]> {
  return (await recordsOf(world.e2e, auditId)).map(({ stage }) => stage)
}

export const auditChecks: readonly Check[] = [
  {
    id: 'AU-01',
    title:
      "each stage is one audit.k8s.io/v1 Event, valid by its type, under the cluster's own Audit-ID",
    async run(worlds) {
      const world = await worlds.cluster()
      const { secret } = await world.token('lead')
      const headers = { 'content-type': 'application/json' }
      const body = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } })
      for (const order of [
        { method: 'GET', path: PODS },
        { method: 'POST', path: `${TEAM}/configmaps?dryRun=All`, headers, body },
        { method: 'GET', path: '/version' },
        { method: 'GET', path: `${TEAM}/secrets` },
        { method: 'GET', path: `${TEAM}//pods` },
      ]) {
        const answer = await world.ask(secret, order)
        const auditId = String(answer.headers['audit-id'])
        const records = await recordsOf(world, auditId)
        for (const record of records) auditEvent.parse(record)
        const stages = records.map(({ stage }) => stage)
        deepStrictEqual(stages.length, new Set(stages).size)
        const seen = readClusterAuditLog(world.cluster(CLUSTER)).filter(
          (event) => event.auditID === auditId,
        )
        const isForwarded = answer.status < 300
        deepStrictEqual({ order, seen: seen.length > 0 }, { order, seen: isForwarded })
        const [record] = records
        deepStrictEqual(record?.user.username, 'lead')
        if (isForwarded) {
          const username = `system:serviceaccount:postern-jit:${annotation(record, 'account')}`
          deepStrictEqual(seen[0]?.user.username, username)
        }
      }
    },
  },
  {
    id: 'AU-01',
    title:
      'a dry run is decided and recorded as what it tries, and its record says that it only tries',
    async run(worlds) {
      const world = await worlds.recording()
      const rules = [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }]
      const token = await world.user('trier', rules, ['team'])
      world.api.reset()
      const target = `${PODS}?dryRun=All`
      const order = { method: 'POST', target, body: '{}' }
      const denied = await overHttp1(world, { ...order, token })
      expectStatus(denied, 403)
      const allowed = await overHttp1(world, order)
      expectStatus(allowed, 200)
      for (const { auditId } of [denied, allowed]) {
        const { verb, requestURI } = await outcomeOf(world, auditId)
        deepStrictEqual({ verb, requestURI }, { verb: 'create', requestURI: target })
      }
      deepStrictEqual((await stagesOf(world, allowed.auditId))[0], 'RequestReceived')
    },
  },
  {
    id: 'AU-02',
    title: 'a watch has its three stages; what ends by itself and only reads has its outcome',
    async run(worlds) {
      const world = await worlds.recording()
      const read = await overHttp1(world, { target: PODS })
      deepStrictEqual(await stagesOf(world, read.auditId), ['ResponseComplete'])
      const write = await overHttp1(world, { method: 'POST', target: PODS, body: '{}' })
      const ofWrite = ['RequestReceived', 'ResponseComplete']
      deepStrictEqual(await stagesOf(world, write.auditId), ofWrite)
      world.api.reset()
      const watch = await overHttp1(world, { target: `${PODS}?watch=1` })
      const ofWatch = ['RequestReceived', 'ResponseStarted', 'ResponseComplete']
      deepStrictEqual(await stagesOf(world, watch.auditId), ofWatch)
      const log = await overHttp1(world, { target: `${PODS}/p/log` })
      deepStrictEqual(await stagesOf(world, log.auditId), ofWatch)
    },
  },
  ...(['AU-03', 'AU-04'] as const).map(
    (id): Check => ({
      id,
      title:
        id === 'AU-03'
          ? 'no rule leaves a request out of the log: whatever the verb, resource or user, it is there'
          : 'no rule leaves a stage out of the log',
      async run(worlds) {
        const world = await worlds.recording()
        for (const [method, target] of [
          ['GET', '/healthz'],
          ['GET', '/api'],
          ['GET', '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x'],
          ['GET', '/api/v1/namespaces/kube-system/endpoints/x'],
          ['POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews'],
          ['POST', '/apis/authentication.k8s.io/v1/tokenreviews'],
          ['DELETE', `${TEAM}/events`],
        ] as const) {
          const body = method === 'GET' ? {} : { body: '{}' }
          const { auditId } = await overHttp1(world, { method, target, ...body })
          const stages = await stagesOf(world, auditId)
          const isWrite = method !== 'GET'
          deepStrictEqual(
            { target, first: stages[0] },
            {
              target,
              first: isWrite ? 'RequestReceived' : 'ResponseComplete',
            },
          )
        }
      },
    }),
  ),
  {
    id: 'AU-05',
    title:
      'bodies are in no record, and what is read of none is not guessed: a create has no name, and a rule with names does not match it',
    async run(worlds) {
      const world = await worlds.recording()
      const secret = 'the-value-of-a-secret'
      world.api.handlers.request = (_arrived, response, request) => {
        request.resume().on('end', () => response.writeHead(201).end(`{"token":"${secret}"}`))
      }
      const body = JSON.stringify({ metadata: { name: 's' }, stringData: { password: secret } })
      for (const target of [
        `${TEAM}/secrets`,
        `${TEAM}/serviceaccounts/a/token`,
        '/apis/authentication.k8s.io/v1/tokenreviews',
        `${TEAM}/configmaps?fieldManager=x&token=${secret}&access%5Ftoken=${secret}`,
      ]) {
        const lines = [JSON_TYPE]
        await overHttp1(world, { method: 'POST', target, body, lines })
        const { auditId = '' } = world.api.arrived.at(-1) ?? {}
        const records = await recordsOf(world.e2e, auditId)
        ok(!JSON.stringify(records).includes(secret), JSON.stringify(records))
        for (const record of records) {
          deepStrictEqual(
            Object.keys(record).filter((key) => key.endsWith('Object')),
            [],
          )
          deepStrictEqual(record.objectRef?.name, target.includes('/a/') ? 'a' : undefined)
        }
      }
      world.api.reset()
      const verbs = ['create', 'update', 'get']
      const rules = [{ verbs, apiGroups: [''], resources: ['secrets'], resourceNames: ['s'] }]
      const token = await world.user('namer', rules, ['team'])
      world.api.reset()
      for (const lines of [[JSON_TYPE], ['Content-Type: application/vnd.kubernetes.protobuf']]) {
        const order = { method: 'POST', target: `${TEAM}/secrets`, body, token, lines }
        expectStatus(await overHttp1(world, order), 403)
      }
      deepStrictEqual(world.api.arrived, [])
      expectStatus(
        await overHttp1(world, { method: 'PUT', target: `${TEAM}/secrets/s`, token, body }),
        200,
      )
    },
  },
  {
    id: 'AU-06',
    title: 'a record too large for the log is cut where it is long, and says so',
    async run(worlds) {
      const world = await worlds.recording()
      const target = `${PODS}/p/exec?command=${'a'.repeat(600_000)}`
      const lines = [`User-Agent: ${'u'.repeat(3_000)}`]
      const reply = await overHttp1(world, { method: 'POST', target, lines })
      expectStatus(reply, 200)
      const records = await recordsOf(world.e2e, reply.auditId)
      ok(records.length >= 2)
      for (const record of records) {
        deepStrictEqual(record.annotations['audit.k8s.io/truncated'], 'true')
        expectMatch(record.requestURI, /^\/api\/v1\/namespaces\/team\/pods\/p\/exec\?command=aaaa/)
        deepStrictEqual(auditEvent.parse(record).userAgent?.length, 1_024)
      }
    },
  },
  {
    id: 'AU-07',
    title:
      'what was denied, had no token or could not be read stands in the log with decision and reason',
    async run(worlds) {
      const world = await worlds.recording()
      for (const [order, code, reason] of [
        [{ target: '/api/v1/nodes/n/proxy/x' }, 403, /a rule must name by itself|no grant/],
        [{ target: PODS, token: '' }, 401, /no bearer token/],
        [{ target: PODS, token: `ptk_${'y'.repeat(43)}` }, 401, /revoked or is not known/],
        [{ target: '/api/v1/namespaces//secrets' }, 400, /empty segment/],
        [{ target: `${PODS}?watch=1;x=2` }, 400, /query/],
        [{ target: PODS, lines: ['Impersonate-User: root'] }, 403, /Impersonate-User/],
      ] as const) {
        const reply = await overHttp1(world, order)
        expectStatus(reply, code)
        const outcome = await outcomeOf(world, reply.auditId)
        deepStrictEqual(annotation(outcome, 'decision'), 'deny')
        deepStrictEqual(outcome.responseStatus?.code, code)
        expectMatch(annotation(outcome, 'reason'), reason)
        deepStrictEqual(outcome.requestURI, order.target)
      }
    },
  },
  {
    id: 'AU-09',
    title: 'while the cluster still works at a write its intent is in the log already',
    async run(worlds) {
      const world = await worlds.recording()
      const held: { end(text: string): unknown }[] = []
      world.api.handlers.request = (_arrived, response, request) => {
        request.resume()
        held.push(response)
      }
      const answered = overHttp1(world, { method: 'DELETE', target: `${PODS}/p`, body: '{}' })
      await eventually('it to be in the log, and unanswered', STORED_MS_MAX, async () => {
        const { auditId = '' } = world.api.arrived.at(-1) ?? {}
        const records = auditId === '' ? [] : await recordsWhere(world.e2e, `auditId=${auditId}`)
        deepStrictEqual(
          records.map(({ stage }) => stage),
          ['RequestReceived'],
        )
      })
      for (const response of held) response.end('{}')
      expectStatus(await answered, 200)
    },
  },
]
