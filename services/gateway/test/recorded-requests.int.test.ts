import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createClient, PODS, SECRETS } from './testing/client.ts'
import { type Gateway, startGateway } from './testing/gateway-harness.ts'
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

test('AU-09: what must not run unrecorded is refused when it cannot be recorded; reads go on', async () => {
  gateway.state.spoolRoom = false
  expect((await client.ask({ method: 'POST', body: '{}' })).status).toBe(503)
  expect((await client.ask({ path: SECRETS })).status).toBe(503)
  expect(gateway.agent.heads).toEqual([])
  expect((await client.ask()).status).toBe(200)
})

test('what a client breaks off before it is sent is not sent, ends, and gets its outcome', async () => {
  const head = `POST ${PODS} HTTP/1.1\r\nHost: demo.localhost\r\nAuthorization: Bearer ${TOKEN}\r\n`
  const framing = 'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
  const attempts = 20
  // The head is good; what follows is no chunk. Whether it is seen before or after the fsync, it ends.
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const { text, closed } = await gateway.raw(`${head}${framing}zz\r\n{}\r\n0\r\n\r\n`)
    expect(text).toMatch(/^HTTP\/1\.1 400 /)
    expect(closed).toBe(true)
  }
  const stages: string[] = []
  await expect
    .poll(
      async () => {
        stages.push(
          ...(await gateway.records())
            .filter(({ verb }) => verb === 'create')
            .map(({ stage }) => stage),
        )
        return stages.filter((stage) => stage === 'ResponseComplete').length
      },
      { timeout: 5_000 },
    )
    .toBe(attempts)
  expect(stages.filter((stage) => stage === 'RequestReceived')).toHaveLength(attempts)
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
    const answer = await client.ask(order)
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
