import { createHash } from 'node:crypto'
import { type ClientHttp2Session, connect } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  eventually,
  type Gateway,
  OTHER_TOKEN,
  type Received,
  startGateway,
  TOKEN,
} from './testing/gateway-harness.ts'

let gateway: Gateway
let h2: ClientHttp2Session
const answers = { request: (_received: Received): void => {} }

beforeAll(async () => {
  gateway = await startGateway()
  answers.request = gateway.agent.handlers.request
})
afterAll(async () => {
  await gateway.close()
})
beforeEach(async () => {
  gateway.agent.heads.length = 0
  gateway.agent.handlers.request = answers.request
  gateway.world.grant(
    'everything',
    [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
    ['team'],
  )
  Object.assign(gateway.state, { lease: true, agentOnline: true, spoolRoom: true })
  h2 = connect(`https://127.0.0.1:${gateway.port}`, { rejectUnauthorized: false })
  h2.on('error', () => {})
  await gateway.records()
})
afterEach(() => h2.destroy())

const PODS = '/api/v1/namespaces/team/pods'
const SECRETS = '/api/v1/namespaces/team/secrets'

test('ER-01: an unknown token is 401 with a Status that says how to renew, and is recorded', async () => {
  const answer = await ask({ token: `ptk_${'z'.repeat(43)}` })
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

test("ER-02: a denial is a 403 Status with kube-apiserver's own sentence, and is recorded", async () => {
  const answer = await ask({ path: '/api/v1/namespaces/other/secrets' })
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
  const resource = await ask({ authority: 'nowhere.localhost' })
  expect([resource.status, resource.headers['content-type']]).toEqual([403, 'application/json'])
  const discovery = await ask({ authority: 'nowhere.localhost', path: '/api' })
  expect([discovery.status, discovery.headers['content-type']]).toEqual([
    403,
    'text/plain; charset=utf-8',
  ])
})

test('ER-08: errors to whoever accepts only protobuf are JSON', async () => {
  const headers = { accept: 'application/vnd.kubernetes.protobuf' }
  const answer = await ask({ path: '/api/v1/namespaces/other/secrets', headers })
  expect(answer.headers['content-type']).toBe('application/json')
})

test('someone without any grant gets nothing, not even discovery', async () => {
  for (const path of ['/api', PODS, '/apis']) {
    expect((await ask({ path, token: OTHER_TOKEN })).status).toBe(403)
  }
  expect(gateway.agent.heads).toEqual([])
})

test('ER-04, ER-05: with the agent offline nothing is sent, and the answer says that and when to retry', async () => {
  gateway.state.agentOnline = false
  const before = Date.now()
  const answer = await ask({ method: 'POST', body: '{}' })
  expect(Date.now() - before).toBeLessThan(2_000)
  expect(answer.status).toBe(503)
  expect(answer.headers['retry-after']).toBe('1')
  expect(JSON.parse(answer.text)).toMatchObject({ reason: 'ServiceUnavailable' })
  const discovery = await ask({ path: '/api' })
  expect([discovery.status, discovery.headers['retry-after']]).toEqual([502, undefined])
})

test('ER-06: an answer that is lost after forwarding is 504 without Retry-After', async () => {
  gateway.agent.handlers.request = () => gateway.agent.cut()
  const answer = await ask({ method: 'POST', body: '{}' })
  expect(answer.status).toBe(504)
  expect(answer.headers['retry-after']).toBeUndefined()
  const records = await gateway.records()
  expect(records.map(({ stage }) => stage)).toEqual(['RequestReceived', 'ResponseComplete'])
})

test('without the lease every request is refused with 503 and nothing is forwarded', async () => {
  gateway.state.lease = false
  const answer = await ask({})
  expect(answer.status).toBe(503)
  expect(answer.text).toContain('Postern cannot confirm that your access is still current')
  expect(gateway.agent.heads).toEqual([])
})

test('AU-09: what must not run unrecorded is refused when it cannot be recorded; reads go on', async () => {
  gateway.state.spoolRoom = false
  expect((await ask({ method: 'POST', body: '{}' })).status).toBe(503)
  expect((await ask({ path: SECRETS })).status).toBe(503)
  expect(gateway.agent.heads).toEqual([])
  expect((await ask({})).status).toBe(200)
})

test.each([
  { what: 'a write', order: { method: 'POST', body: '{}' } },
  { what: 'reading secrets', order: { path: SECRETS } },
  { what: 'a delete', order: { method: 'DELETE', path: `${PODS}/p` } },
])(
  'AU-01: the intent of $what is durable before the first byte reaches the agent',
  async ({ order }) => {
    const seen: string[] = []
    const recorded: Promise<unknown>[] = []
    gateway.agent.handlers.request = (received) => {
      recorded.push(
        gateway.records().then((records) => {
          seen.push(...records.map(({ stage, auditID }) => `${stage} ${auditID}`))
          received.respond(201, []).end()
        }),
      )
    }
    const answer = await ask(order)
    await Promise.all(recorded)
    expect(answer.status).toBe(201)
    const [head] = gateway.agent.heads
    expect(seen).toEqual([`RequestReceived ${head?.auditId}`])
    const [outcome] = await gateway.records()
    expect(outcome).toMatchObject({ stage: 'ResponseComplete', auditID: head?.auditId })
    expect(outcome?.annotations).toMatchObject({
      'postern.dev/decision': 'allow',
      'postern.dev/grant': 'everything',
      'postern.dev/session': 'session-of-u-alice',
      'postern.dev/account': 'ptr-account',
      'postern.dev/positions': 'identity=1,policy=2,tunnel-broker=3',
      'postern.dev/token': 't-alice',
    })
  },
)

test('CN-06, CN-07: host, domain and path prefix lead to the same cluster; SNI must not disagree', async () => {
  for (const [authority, path] of [
    ['demo.localhost:8443', PODS],
    ['demo.gw.test', PODS],
    ['gw.test', `/clusters/demo${PODS}`],
    ['127.0.0.1:1', `/clusters/demo${PODS}?limit=1`],
  ] as const) {
    expect((await ask({ authority, path })).status).toBe(200)
  }
  expect(gateway.agent.heads.map(({ target }) => target)).toEqual([
    PODS,
    PODS,
    PODS,
    `${PODS}?limit=1`,
  ])
  const named = connect(`https://127.0.0.1:${gateway.port}`, {
    rejectUnauthorized: false,
    servername: 'other.localhost',
  })
  named.on('error', () => {})
  expect((await ask({ session: named })).status).toBe(421)
  named.destroy()
})

test('HH-12: redirects are not passed on, nor cookies and server headers', async () => {
  gateway.agent.handlers.request = (received) => {
    received.respond(302, [['Location', 'https://evil.example/']]).end()
  }
  const redirected = await ask({})
  expect([redirected.status, redirected.headers['location']]).toEqual([502, undefined])
  gateway.agent.handlers.request = (received) => {
    received
      .respond(200, [
        ['Set-Cookie', 'a=b'],
        ['Strict-Transport-Security', 'x'],
        ['ETag', '"1"'],
        ['Warning', '299 - "w"'],
      ])
      .end()
  }
  const { headers } = await ask({})
  expect(headers).toMatchObject({ etag: '"1"', warning: '299 - "w"' })
  expect([headers['set-cookie'], headers['strict-transport-security']]).toEqual([
    undefined,
    undefined,
  ])
})

test.each([
  { method: 'GET', status: 304 },
  { method: 'DELETE', status: 204 },
  { method: 'HEAD', status: 200 },
])(
  'ST-09: a $status to $method has no body and ends clean, over h1 and h2',
  async ({ method, status }) => {
    gateway.agent.handlers.request = (received) => {
      received
        .respond(status, [
          ['ETag', '"1"'],
          ['Vary', 'Accept'],
        ])
        .end()
    }
    expect(await ask({ method, path: `${PODS}/p` })).toMatchObject({
      status,
      text: '',
      headers: { etag: '"1"' },
    })
    const asked = `${method} ${PODS}/p HTTP/1.1\r\nHost: demo.localhost\r\nAuthorization: Bearer ${TOKEN}\r\n`
    const { text } = await gateway.raw(`${asked}\r\n${asked}Connection: close\r\n\r\n`)
    expect(text.match(new RegExp(`^HTTP/1\\.1 ${status} `, 'gm'))).toHaveLength(2)
  },
)

test('a denied request over HTTP/1.1 does not cost the connection, also with a body', async () => {
  const denied = (extra: string) =>
    `POST /api/v1/namespaces/other/pods HTTP/1.1\r\nHost: demo.localhost\r\nAuthorization: Bearer ${TOKEN}\r\n${extra}`
  const { text } = await gateway.raw(
    `${denied('Content-Length: 2\r\n\r\n{}')}${denied('Content-Length: 2\r\nConnection: close\r\n\r\n{}')}`,
  )
  expect(text.match(/HTTP\/1\.1 403 /g)).toHaveLength(2)
  expect(gateway.agent.heads).toEqual([])
})

test('HH-10: repeated lines stay repeated', async () => {
  const line = 'X-Stream-Protocol-Version'
  const lines = ['v4.channel.k8s.io', 'v3.channel.k8s.io'].map((v) => `${line}: ${v}\r\n`).join('')
  await gateway.raw(
    `GET ${PODS} HTTP/1.1\r\nHost: demo.localhost\r\nConnection: close\r\nAuthorization: bearer ${TOKEN}\r\n${lines}\r\n`,
  )
  const [head] = gateway.agent.heads
  expect(head?.headers.filter(([name]) => name === line)).toHaveLength(2)
})

test('ER-07: too many requests are 429 with Retry-After, and nothing is forwarded', async () => {
  const small = await startGateway({ limits: { perSecondPerUser: 0.001, burstPerUser: 2 } })
  const session = connect(`https://127.0.0.1:${small.port}`, { rejectUnauthorized: false })
  session.on('error', () => {})
  try {
    const statuses = []
    for (let count = 0; count < 4; count += 1) statuses.push((await ask({ session })).status)
    expect(statuses).toEqual([200, 200, 429, 429])
    expect((await ask({ session })).headers['retry-after']).toBe('1')
    // Discovery has a budget of its own.
    expect((await ask({ session, path: '/api' })).status).toBe(200)
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
  const answer = await ask({ method: 'POST', body: Buffer.alloc(17 * 1024 * 1024) })
  expect([413, 'reset']).toContain(answer.status)
  expect(whole).toBe(false)
})

test('ST-12: a 256 MB answer reaches a slow reader byte for byte, and is not held in memory', async () => {
  const total = 256 * 1024 * 1024
  const block = Buffer.alloc(64 * 1024, 'kube')
  gateway.agent.handlers.request = (received) => {
    const body = received.respond(200, [['Content-Type', 'application/json']])
    let sent = 0
    const write = () => {
      while (sent < total) {
        sent += block.length
        if (!body.write(block)) {
          body.once('drain', write)
          return
        }
      }
      body.end()
    }
    write()
  }
  const before = process.memoryUsage().arrayBuffers
  let most = 0
  const hash = createHash('sha256')
  let bytes = 0
  await new Promise<void>((resolve, reject) => {
    const asked = httpsRequest(options(PODS), (response) => {
      response.on('data', (chunk: Buffer) => {
        hash.update(chunk)
        bytes += chunk.length
        most = Math.max(most, process.memoryUsage().arrayBuffers - before)
        if (Math.floor(bytes / 2e6) === Math.floor((bytes - chunk.length) / 2e6)) return
        response.pause()
        setTimeout(() => response.resume(), 5)
      })
      response.on('end', resolve)
      response.on('error', reject)
    })
    asked.on('error', reject)
    asked.end()
  })
  const expected = createHash('sha256')
  for (let at = 0; at < total; at += block.length) expected.update(block)
  expect(bytes).toBe(total)
  expect(hash.digest('hex')).toBe(expected.digest('hex'))
  expect(most).toBeLessThan(total / 2)
}, 60_000)

test.each(['h1', 'h2'])(
  'ST-10: when the cluster is lost in the middle, the client over %s sees an abort, never a clean end',
  async (how) => {
    gateway.agent.handlers.request = (received) => {
      received.respond(200, [['Content-Type', 'text/plain']]).write('line 1\n')
      setTimeout(() => gateway.agent.cut(), 20)
    }
    const path = `${PODS}/p/log?follow=true`
    expect(await (how === 'h2' ? endOverH2(path) : endOverH1(path))).toBe('aborted')
  },
)

test.each(['h1', 'h2'])(
  'ST-02: the head of a watch without events reaches the client over %s at once',
  async (how) => {
    gateway.agent.handlers.request = (received) => {
      received.respond(200, [['Content-Type', 'application/json']])
    }
    const watch = `${PODS}?watch=true`
    const started = Date.now()
    if (how === 'h2') {
      const stream = requestOver(h2, watch)
      await new Promise((resolve) => stream.once('response', resolve))
      stream.close()
    } else {
      await new Promise<void>((resolve) => {
        const asked = httpsRequest(options(watch), (response) => {
          response.destroy()
          resolve()
        })
        asked.on('error', () => {})
        asked.end()
      })
    }
    expect(Date.now() - started).toBeLessThan(1_000)
  },
)

test.each(['h1', 'h2'])(
  'ST-11: a client over %s that goes away cancels the request in the cluster within a second',
  async (how) => {
    let received: Received | undefined
    gateway.agent.handlers.request = (got) => {
      received = got
      got.respond(200, [['Content-Type', 'application/json']]).write('{}\n')
    }
    const watch = `${PODS}?watch=true`
    if (how === 'h2') {
      const stream = requestOver(h2, watch)
      await new Promise((resolve) => stream.once('data', resolve))
      stream.close(8)
    } else {
      await new Promise<void>((resolve) => {
        const asked = httpsRequest(options(watch), (response) => {
          response.once('data', () => {
            response.destroy()
            resolve()
          })
        })
        asked.on('error', () => {})
        asked.end()
      })
    }
    const gone = Date.now()
    await received?.closed
    expect(Date.now() - gone).toBeLessThan(1_000)
    await eventually(() => gateway.live.count === 0, 'nothing runs any more')
  },
)

test('ST-14: a revocation ends three watches with an ERROR event and a clean end, within two seconds', async () => {
  gateway.agent.handlers.request = (received) => {
    const body = received.respond(200, [['Content-Type', 'application/json']])
    body.write('{"type":"ADDED","object":{}}\n')
    body.write('{"type":"MODIFIED",')
    setTimeout(() => body.write('"object":{}}\n'), 50)
  }
  const paths = ['team', 'team', 'elsewhere'].map(
    (ns) => `/api/v1/namespaces/${ns}/configmaps?watch=true`,
  )
  gateway.world.grant(
    'watchers',
    [{ verbs: ['watch'], apiGroups: [''], resources: ['configmaps'] }],
    ['*'],
  )
  const began = new Set<string>()
  const texts = paths.map((path, index) => {
    const onData = () => void began.add(`${index}`)
    return index === 1 ? textOverH1(path, onData) : textOverH2(path, onData)
  })
  await eventually(() => began.size === 3, 'three watches run')
  gateway.world.revoke('watchers')
  gateway.world.revoke('everything')
  const revoked = Date.now()
  gateway.live.reviewAll()
  for (const { text, end } of await Promise.all(texts)) {
    expect(end).toBe('clean')
    const events = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(events.map(({ type }) => type)).toEqual(['ADDED', 'MODIFIED', 'ERROR'])
    expect(events.at(-1).object).toMatchObject({ kind: 'Status', code: 403, reason: 'Forbidden' })
    expect(events.at(-1).object.message).toMatch(/^Postern ended this stream: /)
  }
  expect(Date.now() - revoked).toBeLessThan(2_000)
  expect((await ask({ path: paths[0] ?? '' })).status).toBe(403)
  const ends = (await gateway.records()).filter(({ stage }) => stage === 'ResponseComplete')
  expect(ends.filter(({ annotations }) => annotations['postern.dev/end'] === 'cut')).toHaveLength(3)
})

test('a grant that ends by the clock cuts what runs under it, without any event', async () => {
  gateway.agent.handlers.request = (received) => {
    received.respond(200, [['Content-Type', 'text/plain']]).write('line\n')
  }
  gateway.world.grant(
    'brief',
    [{ verbs: ['get'], apiGroups: [''], resources: ['pods/log'] }],
    ['brief'],
  )
  gateway.world.change(() => {
    const grant = gateway.world.grants.get('brief')
    const notAfter = new Date(Date.now() + 400).toISOString()
    if (grant !== undefined) gateway.world.grants.set('brief', { ...grant, notAfter })
  })
  expect(await endOverH2('/api/v1/namespaces/brief/pods/p/log?follow=true')).toBe('aborted')
})

test('a lost lease ends streams after its grace, and not if it comes back before', async () => {
  gateway.agent.handlers.request = (received) => {
    received.respond(200, [['Content-Type', 'text/plain']]).write('line\n')
  }
  const end = endOverH2(`${PODS}/p/log?follow=true`)
  await eventually(() => gateway.live.count === 1, 'the stream runs')
  gateway.live.leaseChanged(false)
  gateway.live.leaseChanged(true)
  await new Promise((resolve) => setTimeout(resolve, 400))
  expect(gateway.live.count).toBe(1)
  gateway.live.leaseChanged(false)
  expect(await end).toBe('aborted')
})

test('SR-05: whoami shows the human and the session, never the account', async () => {
  const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
  const answer = await ask({ method: 'POST', path, body: '{}' })
  expect(answer.status).toBe(201)
  expect(JSON.parse(answer.text).status.userInfo).toMatchObject({
    username: 'alice',
    groups: ['developers'],
    extra: { 'postern.dev/session': ['session-of-u-alice'] },
  })
  expect(answer.text).not.toContain('ptr-account')
})

const SSAR = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
test.each([
  { id: 'SR-01', policy: false, cluster: true, allowed: false },
  { id: 'SR-02', policy: true, cluster: false, allowed: false },
  { id: 'both', policy: true, cluster: true, allowed: true },
])(
  '$id: can-i is the answer of policy and cluster together',
  async ({ policy, cluster, allowed }) => {
    gateway.agent.handlers.request = (received) => {
      void received.content.then((content) => {
        expect(JSON.parse(content.toString()).spec.resourceAttributes.resource).toBe('deployments')
        received
          .respond(201, [['Content-Type', 'application/json']])
          .end(JSON.stringify({ status: { allowed: cluster } }))
      })
    }
    const resourceAttributes = {
      namespace: policy ? 'team' : 'other',
      verb: 'delete',
      group: 'apps',
      resource: 'deployments',
    }
    const headers = { 'content-type': 'application/json' }
    const answer = await ask({
      method: 'POST',
      path: SSAR,
      headers,
      body: JSON.stringify({ spec: { resourceAttributes } }),
    })
    expect(JSON.parse(answer.text).status.allowed).toBe(allowed)
    expect(gateway.agent.heads).toHaveLength(policy ? 1 : 0)
  },
)

test('SR-06: can-i asked in protobuf is answered in JSON', async () => {
  const field = (number: number, bytes: Buffer) =>
    Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes])
  const attributes = Buffer.concat([
    field(1, Buffer.from('other')),
    field(2, Buffer.from('list')),
    field(5, Buffer.from('secrets')),
  ])
  const review = field(2, field(1, attributes))
  const body = Buffer.concat([Buffer.from('k8s\0'), field(1, Buffer.alloc(0)), field(2, review)])
  const headers = {
    'content-type': 'application/vnd.kubernetes.protobuf',
    accept: 'application/vnd.kubernetes.protobuf',
  }
  const answer = await ask({ method: 'POST', path: SSAR, headers, body })
  expect(answer.headers['content-type']).toBe('application/json')
  expect(JSON.parse(answer.text)).toMatchObject({
    spec: { resourceAttributes: { namespace: 'other', verb: 'list', resource: 'secrets' } },
    status: { allowed: false },
  })
  const torn = await ask({ method: 'POST', path: SSAR, headers, body: body.subarray(0, -3) })
  expect(torn.status).toBe(415)
  expect(gateway.agent.heads).toEqual([])
})

test('SR-04: can-i --list is what policy and cluster both allow', async () => {
  gateway.agent.handlers.request = (received) => {
    const resourceRules = [
      { verbs: ['get', 'delete'], apiGroups: [''], resources: ['pods', 'secrets'] },
    ]
    received
      .respond(201, [])
      .end(JSON.stringify({ status: { resourceRules, nonResourceRules: [], incomplete: false } }))
  }
  const path = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews'
  const headers = { 'content-type': 'application/json' }
  const list = async (namespace: string) => {
    const answer = await ask({
      method: 'POST',
      path,
      headers,
      body: JSON.stringify({ spec: { namespace } }),
    })
    return JSON.parse(answer.text).status.resourceRules
  }
  expect(await list('other')).toEqual([
    { verbs: ['get'], apiGroups: [''], resources: ['pods'], resourceNames: [] },
  ])
  expect(await list('team')).toContainEqual({
    verbs: ['get', 'delete'],
    apiGroups: [''],
    resources: ['pods', 'secrets'],
    resourceNames: [],
  })
})

test('CN-04: a user who is disabled on an idle h2 connection gets 401 for the next stream', async () => {
  expect((await ask({})).status).toBe(200)
  const alice = gateway.world.users.get('u-alice')
  if (alice === undefined) throw new Error('alice is known')
  gateway.world.change(() => gateway.world.users.set('u-alice', { ...alice, disabled: true }))
  expect((await ask({})).status).toBe(401)
  gateway.world.change(() => gateway.world.users.set('u-alice', alice))
})

test('ER-09: a gateway that stops lets what runs end, and takes nothing new', async () => {
  const leaving = await startGateway()
  const session = connect(`https://127.0.0.1:${leaving.port}`, { rejectUnauthorized: false })
  session.on('error', () => {})
  let finish = () => {}
  leaving.agent.handlers.request = (received) => {
    const body = received.respond(200, [['Content-Type', 'application/json']])
    finish = () => void body.end('{}')
  }
  const running = ask({ session })
  await eventually(() => leaving.agent.heads.length === 1, 'the request runs')
  const closed = leaving.front.close(5_000)
  await new Promise((resolve) => session.once('goaway', resolve))
  finish()
  expect(await running).toMatchObject({ status: 200, text: '{}' })
  await closed
  await leaving.close()
})

type Order = {
  method?: string
  path?: string
  token?: string
  authority?: string
  headers?: Record<string, string>
  body?: string | Buffer
  session?: ClientHttp2Session
}

async function ask(order: Order) {
  const {
    method = 'GET',
    path = PODS,
    token = TOKEN,
    authority = 'demo.localhost',
    body = '',
  } = order
  const stream = (order.session ?? h2).request({
    ':method': method,
    ':path': path,
    ':authority': authority,
    authorization: `Bearer ${token}`,
    ...order.headers,
  })
  return await new Promise<{
    status: number | 'reset'
    text: string
    headers: Record<string, unknown>
  }>((resolve) => {
    let status: number | 'reset' = 'reset'
    let headers: Record<string, unknown> = {}
    let text = ''
    stream.on('response', (response) => {
      status = response[':status'] ?? 'reset'
      headers = response
    })
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    stream.on('error', () => {})
    stream.on('close', () => resolve({ status, text, headers }))
    // node:http2 has ended a GET by itself.
    if (!stream.writableEnded) stream.end(body)
  })
}

function requestOver(session: ClientHttp2Session, path: string) {
  const stream = session.request({
    ':path': path,
    ':authority': 'demo.localhost',
    authorization: `Bearer ${TOKEN}`,
  })
  stream.on('error', () => {})
  return stream
}

function options(path: string) {
  return {
    host: '127.0.0.1',
    port: gateway.port,
    path,
    rejectUnauthorized: false,
    agent: false as const,
    headers: { host: 'demo.localhost', authorization: `Bearer ${TOKEN}` },
  }
}

async function textOverH2(
  path: string,
  onData: () => void = () => {},
): Promise<{ text: string; end: 'clean' | 'aborted' }> {
  const stream = requestOver(h2, path)
  let text = ''
  let ended = false
  stream.on('data', (chunk: Buffer) => {
    onData()
    text += chunk.toString()
  })
  stream.on('end', () => {
    ended = true
  })
  await new Promise((resolve) => stream.once('close', resolve))
  return { text, end: ended && stream.rstCode === 0 ? 'clean' : 'aborted' }
}

async function textOverH1(
  path: string,
  onData: () => void = () => {},
): Promise<{ text: string; end: 'clean' | 'aborted' }> {
  return await new Promise((resolve) => {
    const asked = httpsRequest(options(path), (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => {
        onData()
        text += chunk.toString()
      })
      response.on('error', () => {})
      response.on('close', () => resolve({ text, end: response.complete ? 'clean' : 'aborted' }))
    })
    asked.on('error', () => {})
    asked.end()
  })
}

const endOverH2 = async (path: string) => (await textOverH2(path)).end
const endOverH1 = async (path: string) => (await textOverH1(path)).end
