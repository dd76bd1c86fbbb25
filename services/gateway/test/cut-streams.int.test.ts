import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createClient, http2To, PODS } from './testing/client.ts'
import { eventually, type Gateway, startGateway } from './testing/gateway-harness.ts'
import { TOKEN } from './testing/world.ts'

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

test('ST-14: a revocation ends three watches with an ERROR event and a clean end', async () => {
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
    return index === 1 ? client.textOverH1(path, onData) : client.textOverH2(path, onData)
  })
  await eventually(() => began.size === 3, 'three watches run')
  gateway.world.revoke('watchers')
  gateway.world.revoke('everything')
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
  expect((await client.ask({ path: paths[0] ?? '' })).status).toBe(403)
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
  expect((await client.textOverH2('/api/v1/namespaces/brief/pods/p/log?follow=true')).end).toBe(
    'aborted',
  )
})

test('a lost lease ends streams after its grace', async () => {
  gateway.agent.handlers.request = (received) => {
    received.respond(200, [['Content-Type', 'text/plain']]).write('line\n')
  }
  const text = client.textOverH2(`${PODS}/p/log?follow=true`)
  await eventually(() => gateway.live.count === 1, 'the stream runs')
  gateway.live.leaseChanged(false)
  expect((await text).end).toBe('aborted')
})

test('CN-04: a user who is disabled on an idle h2 connection gets 401 for the next stream', async () => {
  expect((await client.ask()).status).toBe(200)
  const alice = gateway.world.users.get('u-alice')
  if (alice === undefined) throw new Error('alice is known')
  gateway.world.change(() => gateway.world.users.set('u-alice', { ...alice, disabled: true }))
  expect((await client.ask()).status).toBe(401)
  gateway.world.change(() => gateway.world.users.set('u-alice', alice))
})

test('a gateway that stops ends watches between two events, without an error, and nothing else', async () => {
  let finishEvent = () => {}
  gateway.agent.handlers.request = (received) => {
    const isWatch = received.head.target.includes('watch')
    const type = isWatch ? 'application/json' : 'text/plain'
    const body = received.respond(200, [['Content-Type', type]])
    body.write('{"type":"ADDED",')
    finishEvent = () => void body.write('"object":{}}\n{"type":"MODI')
  }
  let begun = 0
  const onData = () => {
    begun += 1
  }
  const log = client.textOverH2(`${PODS}/p/log?follow=true`, onData)
  await eventually(() => begun === 1, 'the log runs')
  const watch = client.textOverH2(`${PODS}?watch=true`, onData)
  await eventually(() => begun === 2, 'the watch runs')
  gateway.live.concludeAll('this gateway stops')
  finishEvent()
  expect(await watch).toEqual({ text: '{"type":"ADDED","object":{}}\n', end: 'clean' })
  expect(await gateway.outcome()).toMatchObject({
    responseStatus: { message: 'this gateway stops' },
    annotations: { 'postern.dev/end': 'cut', 'postern.dev/cut-code': '503' },
  })
  gateway.live.cutAll('this gateway stops')
  expect((await log).end).toBe('aborted')
})

test('ER-09: a gateway that stops lets what runs end, and takes nothing new', async () => {
  const leaving = await startGateway()
  const session = http2To(leaving.port)
  let finish = () => {}
  leaving.agent.handlers.request = (received) => {
    const body = received.respond(200, [['Content-Type', 'application/json']])
    finish = () => void body.end('{}')
  }
  const running = client.ask({ session })
  await eventually(() => leaving.agent.heads.length === 1, 'the request runs')
  const closed = leaving.front.close(5_000)
  await new Promise((resolve) => session.once('goaway', resolve))
  finish()
  expect(await running).toMatchObject({ status: 200, text: '{}' })
  await closed
  await leaving.close()
})

test('ER-09: over HTTP/1.1 a gateway that stops says so with the answer, and ends idle connections', async () => {
  const leaving = await startGateway()
  const ask = `GET ${PODS} HTTP/1.1\r\nHost: demo.localhost\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`
  const texts = { idle: '', running: '' }
  const open = async (which: 'idle' | 'running') => {
    const socket = await leaving.connect()
    socket.on('data', (chunk: Buffer) => {
      texts[which] += chunk.toString()
    })
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write(ask)
    return { closed }
  }
  const idle = await open('idle')
  await eventually(() => texts.idle.endsWith('{}\r\n0\r\n\r\n'), 'an answer')
  expect(texts.idle).not.toMatch(/^connection: close/im)
  let finish = () => {}
  leaving.agent.handlers.request = (received) => {
    finish = () => void received.respond(200, []).end('{}')
  }
  const running = await open('running')
  await eventually(() => leaving.agent.heads.length === 2, 'the request runs')
  const closed = leaving.front.close(5_000)
  finish()
  await Promise.all([running.closed, idle.closed, closed])
  expect(texts.running).toMatch(/^HTTP\/1\.1 200 OK\r\n(?:.*\r\n)*Connection: close\r\n/)
  expect(texts.running).toMatch(/0\r\n\r\n$/)
  await leaving.close()
})
