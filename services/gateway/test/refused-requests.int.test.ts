import { once } from 'node:events'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createClient, http2To, PODS } from './testing/client.ts'
import { type Gateway, startGateway } from './testing/gateway-harness.ts'
import { NEW_TOKEN, OTHER_TOKEN, TOKEN } from './testing/world.ts'

/** What second-look.ts lets wait. */
const WAITING = 256

let gateway: Gateway
let client: ReturnType<typeof createClient>

beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(async () => {
  await gateway.close()
})
beforeEach(async () => {
  await gateway.reset()
  client = createClient(gateway)
})
afterEach(() => client.close())

test('ER-01: an unknown token is 401 with a Status that says how to renew, and is recorded', async () => {
  const answer = await client.ask({ token: `ptk_${'z'.repeat(43)}` })
  expect(answer.status).toBe(401)
  const status = JSON.parse(answer.text)
  expect(status).toMatchObject({
    kind: 'Status',
    status: 'Failure',
    reason: 'Unauthorized',
    code: 401,
  })
  expect(status.message).toMatch(/postern login/)
  const [record] = await gateway.records()
  expect(record).toMatchObject({
    stage: 'ResponseComplete',
    responseStatus: { code: 401 },
    user: {},
  })
  expect(JSON.stringify(gateway.log)).not.toContain('ptk_')
})

test('a token that was made a moment ago is waited for: its first request is carried', async () => {
  gateway.state.confirmed = async () => {
    gateway.world.makeToken(NEW_TOKEN, 'u-alice')
    return true
  }
  const answer = await client.ask({ token: NEW_TOKEN })
  expect([answer.status, gateway.agent.heads.length]).toEqual([200, 1])
  const records = await gateway.records()
  expect(records.map(({ user }) => user.username)).toEqual(['alice'])
})

test('whoever comes with a token that does not become known waits once, and only so many wait', async () => {
  let asked = 0
  let beKnown: (isConfirmed: boolean) => void = () => {}
  const known = new Promise<boolean>((resolve) => {
    beKnown = resolve
  })
  gateway.state.confirmed = async () => {
    asked += 1
    return await known
  }
  const session = http2To(gateway.port)
  const ask = async () => {
    const headers = { ':path': PODS, authorization: `Bearer ptk_${'z'.repeat(43)}` }
    const stream = session.request({ ':authority': 'demo.localhost', ...headers })
    const [answered] = await once(stream, 'response')
    stream.close()
    return answered[':status']
  }
  const waiting = Array.from({ length: WAITING }, ask)
  await expect.poll(() => asked).toBe(WAITING)
  expect(await ask()).toBe(401)
  expect(asked).toBe(WAITING)
  beKnown(true)
  expect(new Set(await Promise.all(waiting))).toEqual(new Set([401]))
  expect(asked).toBe(WAITING)
  session.close()
})

test("ER-02: a denial is a 403 Status with kube-apiserver's own sentence, and is recorded", async () => {
  const answer = await client.ask({ path: '/api/v1/namespaces/other/secrets' })
  expect(answer.status).toBe(403)
  expect(answer.headers['content-type']).toBe('application/json')
  expect(answer.headers['x-content-type-options']).toBe('nosniff')
  const status = JSON.parse(answer.text)
  expect(status.message).toContain(
    'secrets is forbidden: User "alice" cannot list resource "secrets"',
  )
  const [record] = await gateway.records()
  expect(record).toMatchObject({
    stage: 'ResponseComplete',
    verb: 'list',
    user: { username: 'alice' },
    objectRef: { resource: 'secrets', namespace: 'other' },
    annotations: { 'postern.dev/decision': 'deny', 'postern.dev/cluster': 'demo' },
  })
  expect(gateway.agent.heads).toEqual([])
})

test('ER-03: an unknown cluster is 403, never 404, and text on discovery paths', async () => {
  const resource = await client.ask({ authority: 'nowhere.localhost' })
  expect([resource.status, resource.headers['content-type']]).toEqual([403, 'application/json'])
  const discovery = await client.ask({ authority: 'nowhere.localhost', path: '/api' })
  expect([discovery.status, discovery.headers['content-type']]).toEqual([
    403,
    'text/plain; charset=utf-8',
  ])
})

test('ER-08: errors to whoever accepts only protobuf are JSON', async () => {
  const headers = { accept: 'application/vnd.kubernetes.protobuf' }
  const answer = await client.ask({ path: '/api/v1/namespaces/other/secrets', headers })
  expect(answer.headers['content-type']).toBe('application/json')
})

test('someone without any grant gets nothing, not even discovery', async () => {
  for (const path of ['/api', PODS, '/apis']) {
    expect((await client.ask({ path, token: OTHER_TOKEN })).status).toBe(403)
  }
  expect(gateway.agent.heads).toEqual([])
})

test('ER-04, ER-05: with the agent offline nothing is sent, and the answer says that and when to retry', async () => {
  gateway.state.agentOnline = false
  const answer = await client.ask({ method: 'POST', body: '{}' })
  expect(answer.status).toBe(503)
  expect(answer.headers['retry-after']).toBe('1')
  expect(JSON.parse(answer.text)).toMatchObject({ reason: 'ServiceUnavailable' })
  const discovery = await client.ask({ path: '/api' })
  expect([discovery.status, discovery.headers['retry-after']]).toEqual([502, undefined])
})

test('ER-06: an answer that is lost after forwarding is 504 without Retry-After', async () => {
  gateway.agent.handlers.request = () => gateway.agent.cut()
  const answer = await client.ask({ method: 'POST', body: '{}' })
  expect(answer.status).toBe(504)
  expect(answer.headers['retry-after']).toBeUndefined()
  const records = await gateway.records()
  expect(records.map(({ stage }) => stage)).toEqual(['RequestReceived', 'ResponseComplete'])
})

test('without the lease every request is refused with 503 and nothing is forwarded', async () => {
  gateway.state.lease = false
  const answer = await client.ask()
  expect(answer.status).toBe(503)
  expect(answer.text).toContain('Postern cannot confirm that your access is still current')
  expect(gateway.agent.heads).toEqual([])
})

test.each([
  {
    what: 'its right ended',
    happens: () => gateway.world.revoke('everything'),
    code: 403,
    says: 'none of your grants',
  },
  {
    what: 'the lease was lost',
    happens: () => {
      gateway.state.lease = false
    },
    code: 503,
    says: 'cannot confirm',
  },
  {
    what: 'its session ended',
    happens: () => gateway.sessionsOver.add('session-of-u-alice'),
    code: 403,
    says: 'your session on the cluster has ended',
  },
])('what was allowed is not sent when $what while it waited', async ({ happens, code, says }) => {
  gateway.state.whileSessionOpens = () => {
    happens()
    gateway.state.position = 99n
  }
  const answer = await client.ask({ method: 'DELETE', path: `${PODS}/web` })
  expect([answer.status, JSON.parse(answer.text).message]).toEqual([
    code,
    expect.stringContaining(says),
  ])
  expect(gateway.agent.heads).toEqual([])
  const records = await gateway.records()
  expect(records.map(({ stage }) => stage)).toEqual(['RequestReceived', 'ResponseComplete'])
  expect(records[1]?.responseStatus).toMatchObject({ code })
  // What was decided stands with what it was decided from.
  for (const { annotations } of records) {
    expect(annotations['postern.dev/decision']).toBe('allow')
    expect(annotations['postern.dev/positions']).toContain('policy=2,')
  }
})

test('a denied request over HTTP/1.1 does not cost the connection, also with a body', async () => {
  const denied = (extra: string) =>
    `POST /api/v1/namespaces/other/pods HTTP/1.1\r\nHost: demo.localhost\r\nAuthorization: Bearer ${TOKEN}\r\n${extra}`
  const { text } = await gateway.raw(
    `${denied('Content-Length: 2\r\n\r\n{}')}${denied('Content-Length: 2\r\nConnection: close\r\n\r\n{}')}`,
  )
  expect(text.match(/HTTP\/1\.1 403 /g)).toHaveLength(2)
  expect(gateway.agent.heads).toEqual([])
})

test('ER-07: too many requests are 429 with Retry-After, and nothing is forwarded', async () => {
  const small = await startGateway({ limits: { perSecondPerUser: 0.001, burstPerUser: 2 } })
  const session = http2To(small.port)
  try {
    const statuses = []
    for (let count = 0; count < 4; count += 1) statuses.push((await client.ask({ session })).status)
    expect(statuses).toEqual([200, 200, 429, 429])
    expect((await client.ask({ session })).headers['retry-after']).toBe('1')
    // Discovery has a budget of its own.
    expect((await client.ask({ session, path: '/api' })).status).toBe(200)
    expect(small.agent.heads).toHaveLength(3)
  } finally {
    session.destroy()
    await small.close()
  }
})

test('a body larger than 16 MiB is refused, and its end never reaches the cluster', async () => {
  let whole = false
  gateway.agent.handlers.request = (received) => {
    void received.content.then(() => {
      whole = true
    })
  }
  const answer = await client.ask({ method: 'POST', body: Buffer.alloc(17 * 1024 * 1024) })
  expect([413, 'reset']).toContain(answer.status)
  expect(whole).toBe(false)
})
