import { deepStrictEqual, ok } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { eventually } from '@postern/bootstrap'
import { CLUSTER, type E2eWorld, messageOf, send } from '@postern/e2e/support'
import fc from 'fast-check'
import type { Check, Generated } from '../check.ts'
import { bytesOf, overHttp1, rawly } from '../client.ts'
import { expectMatch, expectStatus } from '../expect.ts'
import { grantedUser } from '../granted-user.ts'
import { openHttp2Session, openOn } from '../open-http2-stream.ts'

const PODS = '/api/v1/namespaces/team/pods'
const PROTOBUF = 'application/vnd.kubernetes.protobuf'
const FUZZED = 250
/** More than one user may have open at once. */
const AT_ONCE = 260

const onPods = (...verbs: string[]) => [{ verbs, apiGroups: [''], resources: ['pods'] }]
const headerOf = (text: string, name: string) =>
  new RegExp(`^${name}: (.*?)\r?$`, 'im').exec(text)?.[1]

/** Someone with a grant on a cluster whose agent has never come. */
async function strandedUser(world: E2eWorld): Promise<(order: Order) => Promise<Said>> {
  const { api } = world.admin
  const [name, cluster] = ['stranded', 'unjoined']
  await api.call('POST', '/v1/clusters', { name: cluster, labels: {}, installLevel: LEVEL })
  await world.createUser(name)
  await api.call('POST', '/v1/roles', { name, rules: onPods('*') })
  const where = { clusters: [cluster], namespaces: { all: true } }
  const terms = { subjects: [`user:${name}`], role: name, ...where }
  await api.call('POST', '/v1/grants', { name, terms })
  const { secret } = await world.token(name)
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' }
  const base = `${world.platform.gatewayUrl}/clusters/${cluster}`
  const ask = async ({ path, ...order }: Order) => {
    return await send(base + path, world.ca, { ...order, path: '', headers })
  }
  await eventually('the gateway to know the new token', KNOWN_MS_MAX, async () => {
    const { status, text } = await ask({ path: PODS })
    if (status !== 503) throw new Error(`${status} ${text}`)
  })
  return ask
}
type Order = { readonly method?: string; readonly path: string; readonly body?: string }
type Said = Awaited<ReturnType<typeof send>>
const KNOWN_MS_MAX = 30_000
/** The lease, and kubectl on a busy machine. */
const BITES_MS_MAX = 10_000
const LEVEL = 'INSTALL_LEVEL_VIEW'
const stranded = new WeakMap<E2eWorld, ReturnType<typeof strandedUser>>()

function ofStranded(world: E2eWorld) {
  const known = stranded.get(world) ?? strandedUser(world)
  stranded.set(world, known)
  return known
}

export function errorChecks({ seed }: Pick<Generated, 'seed'>): Check[] {
  return [
    {
      id: 'ER-01',
      title: 'kubectl of someone who was disabled says so, and what to do',
      async run(worlds) {
        const world = await worlds.cluster()
        const name = 'leaver'
        const rules = onPods('get', 'list')
        await grantedUser(world, { name, cluster: CLUSTER, rules, namespaces: ['team'] })
        const kubectl = await world.kubectlOf(name, CLUSTER)
        await kubectl.ok(['get', 'pods', '-n', 'team'])
        await world.admin.api.call('POST', `/v1/users/${name}/disable`, {})
        // His tokens go with him.
        const said =
          /You must be logged in to the server \(your (?:token|user) was .*(?:Sign in|Ask)/
        await eventually('it to bite', BITES_MS_MAX, async () => {
          const { code, stderr } = await kubectl.run(['get', 'pods', '-n', 'team'])
          deepStrictEqual(code, 1)
          expectMatch(stderr, said)
        })
      },
    },
    {
      id: 'ER-02',
      title:
        "a denial is kube-apiserver's own sentence, then which rule and what to do; kubectl shows it whole",
      async run(worlds) {
        const world = await worlds.cluster()
        const { kubectl: admin, server, ca } = world.cluster(CLUSTER)
        await admin.run(['create', 'serviceaccount', 'nobody', '-n', 'team'])
        const token = (await admin.ok(['create', 'token', 'nobody', '-n', 'team'])).trim()
        const authority = readFileSync(ca, 'utf8')
        const { secret } = await world.token('lead')
        for (const [method, path] of [
          ['GET', '/api/v1/namespaces/team/secrets'],
          ['GET', '/api/v1/namespaces/team/secrets/s'],
          ['GET', '/api/v1/nodes'],
          ['DELETE', '/apis/batch/v1/namespaces/team/jobs/a'],
          ['PATCH', '/api/v1/namespaces/team/pods/box/ephemeralcontainers'],
          ['POST', '/apis/rbac.authorization.k8s.io/v1/clusterroles'],
          ['GET', '/metrics'],
          ['GET', '/api/v1/namespaces/team/secrets?watch=1'],
        ] as const) {
          const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
          const order = { method, path: '', headers }
          const theirs = messageOf(await send(server + path, authority, order))
          const answer = await world.ask(secret, { method, path })
          deepStrictEqual(answer.status, 403)
          const status = JSON.parse(answer.text)
          deepStrictEqual([status.kind, status.reason, status.code], ['Status', 'Forbidden', 403])
          const sentence = theirs.replace('"system:serviceaccount:team:nobody"', '"lead"')
          ok(status.message.startsWith(`${sentence}: `), `${status.message}\n${theirs}`)
          expectMatch(status.message, /grant "developers-everywhere".*ask an administrator/)
        }
        const kubectl = await world.kubectlOf('lead', CLUSTER)
        const { code, stderr } = await kubectl.run(['get', 'secrets', '-n', 'team'])
        deepStrictEqual(code, 1)
        expectMatch(
          stderr,
          /^Error from server \(Forbidden\): secrets is forbidden: User "lead" cannot list resource "secrets" in API group "" in the namespace "team": none of your grants.*role "developer".*ask an administrator of Postern/,
        )
      },
    },
    {
      id: 'ER-03',
      title:
        'a cluster that is not there is 403 and never "not found"; on discovery as text, which kubectl shows',
      async run(worlds) {
        const world = await worlds.recording()
        const host = 'nowhere.postern.localhost'
        const ask = async (target: string) => {
          const lines = ['Connection: close']
          return await rawly(world, bytesOf({ ...world, host }, { target, lines }))
        }
        for (const target of [PODS, `${PODS}/p`, '/apis/apps/v1/deployments']) {
          const reply = await ask(target)
          expectStatus(reply, 403)
          expectMatch(reply.text, /"kind":"Status".*no cluster \\"nowhere\\" here that you may use/)
        }
        for (const target of ['/api', '/apis', '/openapi/v3', '/version', '/api/v1']) {
          const reply = await ask(target)
          expectStatus(reply, 403)
          expectMatch(headerOf(reply.text, 'content-type') ?? '', /^text\/plain/)
        }
      },
    },
    {
      id: 'ER-04',
      title: 'with no agent there a read is 503 that says what to look at, and when to come again',
      async run(worlds) {
        const ask = await ofStranded(await worlds.cluster())
        const answer = await ask({ path: PODS })
        deepStrictEqual(answer.status, 503, answer.text)
        expectMatch(String(answer.headers['retry-after']), /^\d+$/)
        const status = JSON.parse(answer.text)
        deepStrictEqual([status.kind, status.reason], ['Status', 'ServiceUnavailable'])
        expectMatch(status.message, /Nothing was sent|agent/)
        const discovery = await ask({ path: '/api' })
        deepStrictEqual(discovery.status, 502)
        expectMatch(String(discovery.headers['content-type']), /^text\/plain/)
        deepStrictEqual(discovery.headers['retry-after'], undefined)
      },
    },
    {
      id: 'ER-05',
      title:
        'Retry-After promises that nothing was carried out: a write that could not be sent has it',
      async run(worlds) {
        const ask = await ofStranded(await worlds.cluster())
        const answer = await ask({ method: 'POST', path: PODS, body: '{}' })
        deepStrictEqual(answer.status, 503, answer.text)
        expectMatch(String(answer.headers['retry-after']), /^\d+$/)
        expectMatch(messageOf(answer), /Nothing was sent to/)
      },
    },
    {
      id: 'ER-06',
      title:
        'what was sent and got no answer is 504 without Retry-After where it may have written, and is not sent twice',
      async run(worlds) {
        const world = await worlds.recording()
        for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
          world.api.reset()
          world.api.handlers.request = (_arrived, _response, request) => {
            request.resume().on('end', () => request.socket.destroy())
          }
          const reply = await overHttp1(world, { method, target: PODS, body: '{}' })
          expectStatus(reply, 504)
          deepStrictEqual(headerOf(reply.text, 'retry-after'), undefined)
          expectMatch(reply.text, /"reason":"Timeout".*|It may have been carried out/)
          deepStrictEqual(world.api.arrived.length, 1, method)
        }
        world.api.reset()
        world.api.handlers.request = (_arrived, _response, request) => request.socket.destroy()
        const read = await overHttp1(world, { target: PODS })
        expectStatus(read, 503)
        expectMatch(headerOf(read.text, 'retry-after') ?? '', /^\d+$/)
      },
    },
    {
      id: 'ER-07',
      title:
        'who asks for too much at once gets 429 and Retry-After, nobody else, and nothing of it arrives',
      async run(worlds) {
        const world = await worlds.recording()
        const token = await world.user('greedy', onPods('get', 'list'), ['team'])
        world.api.reset()
        const held: { end(text: string): unknown }[] = []
        world.api.handlers.request = (_arrived, response) => void held.push(response)
        const session = openHttp2Session(world)
        const streams = Array.from({ length: AT_ONCE }, () =>
          openOn({ session, host: world.host }, { target: PODS, token }),
        )
        const refused = () => streams.filter((stream) => stream.status() === 429)
        const [first] = streams
        await first?.until('some to be refused', () => refused().length > 0)
        for (const stream of refused()) {
          await stream.until('its Status', () => stream.text().includes('"TooManyRequests"'))
          expectMatch(stream.text(), /"retryAfterSeconds":1/)
        }
        ok(world.api.arrived.length <= AT_ONCE - refused().length, 'what was refused arrived')
        world.api.handlers.request = (_arrived, response) => void response.end('{}')
        expectStatus(await overHttp1(world, { target: PODS }), 200)
        for (const response of held) response.end('{}')
        session.destroy()
      },
    },
    {
      id: 'ER-07',
      title: "the cluster's own 429 and its priority levels pass as they are",
      async run(worlds) {
        const world = await worlds.recording()
        world.api.handlers.request = (_arrived, response) => {
          const level = { 'retry-after': '7', 'x-kubernetes-pf-prioritylevel-uid': 'b' }
          response.writeHead(429, { ...level, 'content-type': 'text/plain' }).end('later')
        }
        const reply = await overHttp1(world, { target: PODS })
        expectStatus(reply, 429)
        deepStrictEqual(headerOf(reply.text, 'retry-after'), '7')
        deepStrictEqual(headerOf(reply.text, 'x-kubernetes-pf-prioritylevel-uid'), 'b')
        expectMatch(reply.text, /^later\r$/m)
      },
    },
    {
      id: 'ER-08',
      title: 'errors are JSON also to whoever wants protobuf or a table: kubectl reads them',
      async run(worlds) {
        const world = await worlds.recording()
        for (const accept of [PROTOBUF, 'application/cbor', 'application/json;as=Table', 'x/y']) {
          for (const [target, status] of [
            ['/api/v1/nodes/n/proxy/x', 403],
            [`${PODS}//`, 400],
          ] as const) {
            const reply = await overHttp1(world, { target, lines: [`Accept: ${accept}`] })
            expectStatus(reply, status)
            deepStrictEqual(headerOf(reply.text, 'content-type'), 'application/json')
            expectMatch(reply.text, /"kind":"Status"/)
          }
        }
        const kubectl = await world.e2e.kubectlOf('lead', CLUSTER)
        // kubectl sends and asks for protobuf.
        const create = ['create', 'serviceaccount', 'x', '-n', 'team']
        const { stderr } = await kubectl.run(create)
        expectMatch(stderr, /is forbidden: User "lead" cannot create resource "serviceaccounts"/)
      },
    },
    {
      id: 'ER-10',
      title: `whatever is sent, an answer is a Status or text: no page, no trace of a program, no redirect (${FUZZED} tries)`,
      async run(worlds) {
        const world = await worlds.recording()
        const text = fc.string({ maxLength: 20, unit: 'binary-ascii' })
        const request = fc.record({
          method: fc.constantFrom('GET', 'POST', 'DELETE', 'PATCH', 'BREW', 'HEAD'),
          target: fc.oneof(fc.webPath(), text, fc.constantFrom('/api', '/nodes', '/%', '/a//b')),
          lines: fc.array(fc.tuple(text, text), { maxLength: 3 }),
        })
        const token = await world.user('no-rights', onPods('watch'), ['nowhere'])
        world.api.reset()
        for (const { method, target, lines } of fc.sample(request, { seed, numRuns: FUZZED })) {
          const order = {
            method,
            target,
            token,
            lines: ['Connection: close', ...lines.map(([name, value]) => `${name}: ${value}`)],
          }
          const { text: said, status } = await rawly(world, bytesOf(world, order))
          const sent = JSON.stringify(order)
          ok(status === 0 || (status >= 400 && status < 600) || status === 200, `${sent} ${said}`)
          ok(!/text\/html|<html|\bat .*\.[jt]s:|node:internal|stack/i.test(said), `${sent} ${said}`)
        }
        const rights = world.api.arrived.filter(({ target }) => target.includes('/namespaces/'))
        deepStrictEqual(rights, [])
      },
    },
  ]
}
