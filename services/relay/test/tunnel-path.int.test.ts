import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type MuxSession, toDuplex } from '@postern/mux'
import { createMemoryLog } from '@postern/telemetry/testing'
import { NoAgentError } from '@postern/tunnel'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  agentEnd,
  CLUSTER,
  counted,
  createIdentities,
  gatewayEnd,
  type Identities,
  startRelay,
  startTap,
  type TestRelay,
  until,
} from './tunnel-fixture.ts'

let identities: Identities
let relay: TestRelay
const closing: (() => unknown)[] = []
const log = createMemoryLog()

beforeAll(async () => {
  identities = await createIdentities()
})
beforeEach(async () => {
  relay = await startRelay({ identity: identities.relay })
  closing.push(() => relay.close())
})
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

const echo = (session: MuxSession) =>
  session.onStream((stream, head) => {
    const { body } = toDuplex(stream)
    stream.sendHead(Buffer.concat([Buffer.from('re: '), head]))
    pipeline(body, body).catch(() => {})
  })

async function startAgent(options: Partial<Parameters<typeof agentEnd>[0]> = {}) {
  const relays = options.relays ?? [relay.address]
  const agent = await agentEnd({ relays, identity: identities.agent, log, onMux: echo, ...options })
  closing.push(() => agent.close(0))
  await until(() => agent.parkedOn.length === relays.length)
  return agent
}

function startGateway(relays = [relay.address]) {
  const gateway = gatewayEnd(relays, identities.gateway, log)
  closing.push(() => gateway.close())
  return gateway
}

test('an agent that was removed gets nothing more, although its certificate is still good', async () => {
  await startAgent()
  const members = new Set<string>(['a1'])
  const gateway = gatewayEnd([relay.address], identities.gateway, log, (clusterId, agentId) =>
    clusterId === CLUSTER ? members.has(agentId) : false,
  )
  closing.push(() => gateway.close())
  const { session } = await gateway.connectMux(CLUSTER)
  const { socket } = await gateway.connectUpgrade(CLUSTER)
  socket.on('error', () => {})
  gateway.cutRemovedAgents()
  expect(session.state).toBe('open')
  members.clear()
  gateway.cutRemovedAgents()
  await session.closed
  await until(() => socket.closed)
  await expect(gateway.connectMux(CLUSTER)).rejects.toMatchObject({ reason: 'peer-refused' })
})

test.each([
  { whose: 'agent', path: `agent/${CLUSTER}/a1`, checkedBy: 'gateway' },
  { whose: 'gateway', path: 'gateway/g1', checkedBy: 'agent' },
])(
  'the $checkedBy cuts session and upgrade when the certificate of the $whose expires',
  async ({ whose, path }) => {
    const short = await identities.authority.identity(path, { now: new Date(), lifeSeconds: 12 })
    const agent = whose === 'agent' ? short : identities.agent
    const gateway = whose === 'gateway' ? short : identities.gateway
    const parked = await startAgent({
      identity: agent,
      // As in life, where the other connection of a splice ends with this one.
      onUpgrade: (socket) => socket.on('error', () => {}).pipe(socket),
    })
    const dialer = gatewayEnd([relay.address], gateway, log)
    closing.push(() => dialer.close())
    await until(() => dialer.relaysConnected === 1)
    const { session } = await dialer.connectMux(CLUSTER)
    const { socket } = await dialer.connectUpgrade(CLUSTER)
    socket.on('error', () => {}).resume()
    socket.on('end', () => socket.end())
    await until(() => parked.upgrades.length === 1)
    const closed = [socket, ...parked.upgrades].map(
      async (one) => await new Promise<void>((resolve) => one.once('close', () => resolve())),
    )
    const { notAfter } = short.current()
    for (const ended of closed) {
      await ended
      expect(Date.now()).toBeGreaterThanOrEqual(notAfter.getTime() - 1000)
    }
    // It drains before, and nothing runs in it.
    await session.closed
  },
  90_000,
)

test('a gateway reaches an agent and shares one session for many requests', async () => {
  await startAgent()
  const { session, agentId } = await startGateway().connectMux(CLUSTER)
  expect(agentId).toBe('a1')
  const answers = await Promise.all(
    Array.from({ length: 100 }, async (_, index) => {
      const { head, body } = toDuplex(session.open(Buffer.from(`request ${index}`)))
      body.end(`body ${index}`)
      return `${String(await head)}; ${String(Buffer.concat(await body.toArray()))}`
    }),
  )
  expect(answers).toEqual(answers.map((_, index) => `re: request ${index}; body ${index}`))
})

test('an upgrade has a connection of its own, and each way ends by itself', async () => {
  await startAgent({
    onUpgrade(socket) {
      const heard: Buffer[] = []
      socket.on('data', (chunk: Buffer) => heard.push(chunk))
      socket.on('end', () => socket.end(`heard ${String(Buffer.concat(heard))}`))
    },
  })
  const { socket } = await startGateway().connectUpgrade(CLUSTER)
  socket.end('stdin')
  expect(Buffer.concat(await socket.toArray()).toString()).toBe('heard stdin')
})

test('an offline cluster is told apart', async () => {
  const gateway = startGateway()
  await expect(gateway.connectMux(CLUSTER)).rejects.toThrow(NoAgentError)
})

test('without a relay the failure names it', async () => {
  const gateway = startGateway(['127.0.0.1:1'])
  await expect(gateway.connectMux(CLUSTER)).rejects.toMatchObject({ reason: 'no-relay' })
})

test('an attempt that nobody wants any more ends at once', async () => {
  const gateway = startGateway(['127.0.0.1:1'])
  const signal = AbortSignal.timeout(20)
  await expect(gateway.connectMux(CLUSTER, signal)).rejects.toMatchObject({ reason: 'aborted' })
})

test('the agent is found on whichever relay it is parked', async () => {
  const other = await startRelay({ identity: identities.relay })
  closing.push(() => other.close())
  await startAgent({ relays: [other.address] })
  const gateway = startGateway([relay.address, other.address, '127.0.0.1:1'])
  await until(() => gateway.relaysConnected === 2)
  for (let times = 0; times < 8; times += 1) {
    const { session } = await gateway.connectMux(CLUSTER)
    expect(session.state).toBe('open')
  }
})

test('100 MB pass a slow reader byte for byte', async () => {
  const chunk = randomBytes(1 << 20)
  await startAgent({
    onMux: (session) =>
      session.onStream((stream) => {
        const { body } = toDuplex(stream)
        stream.sendHead(Buffer.alloc(0))
        pipeline(Readable.from(Array(100).fill(chunk)), body).catch(() => {})
        body.resume()
      }),
  })
  const { session } = await startGateway().connectMux(CLUSTER)
  const { body } = toDuplex(session.open(Buffer.alloc(0)))
  body.end()
  const found = createHash('sha256')
  const expected = createHash('sha256')
  for (let times = 0; times < 100; times += 1) expected.update(chunk)
  let bytes = 0
  await pipeline(
    body,
    new Writable({
      highWaterMark: 1,
      write(data: Buffer, _encoding, done) {
        found.update(data)
        bytes += data.length
        if (bytes % 7 === 0) setTimeout(() => done(), 1)
        else setImmediate(() => done())
      },
    }),
  )
  expect(bytes).toBe(100 << 20)
  expect(found.digest('hex')).toBe(expected.digest('hex'))
  const carried = await counted(relay.metrics, /relay_bytes_total.*kind="pair".*"up"/)
  expect(carried).toBeGreaterThan(100 << 20)
})

test('no plaintext and no key passes the relay, and the server name is all that can be read', async () => {
  const tap = await startTap(relay.address)
  closing.push(() => tap.close())
  const secret = randomBytes(24).toString('hex')
  await startAgent({
    relays: [tap.address],
    onUpgrade: (socket) => void socket.pipe(socket),
  })
  const gateway = startGateway([tap.address])
  const { session } = await gateway.connectMux(CLUSTER)
  const { head, body } = toDuplex(session.open(Buffer.from(`Bearer ${secret}`)))
  body.end(`token: ${secret}`)
  expect(`${String(await head)}${String(Buffer.concat(await body.toArray()))}`).toContain(
    `token: ${secret}`,
  )
  const { socket } = await gateway.connectUpgrade(CLUSTER)
  socket.end(secret)
  expect(Buffer.concat(await socket.toArray()).toString()).toBe(secret)

  const seen = tap.bytes()
  // The tap does see what passes: the preface and the server name are in the clear.
  expect(seen.includes('POSTERN-PAIR/1 ')).toBe(true)
  expect(seen.includes(`.pair.${identities.authority.trustDomain}`)).toBe(true)
  expect(seen.includes(secret)).toBe(false)
  expect(seen.includes(Buffer.from(secret, 'hex'))).toBe(false)
  expect(seen.includes('Bearer')).toBe(false)
  for (const identity of [identities.agent, identities.gateway, identities.relay]) {
    const base64 = identity.current().key.replaceAll(/-----[^-]+-----|\s/g, '')
    expect(seen.includes(base64)).toBe(false)
    expect(seen.includes(Buffer.from(base64, 'base64').subarray(-32))).toBe(false)
    // TLS 1.3 hides certificates too.
    expect(seen.includes(identity.spiffeId)).toBe(false)
  }
})

describe('when a relay goes', () => {
  test('both ends of a session learn of it', async () => {
    const tap = await startTap(relay.address)
    closing.push(() => tap.close())
    const agent = await startAgent({ relays: [tap.address] })
    const { session } = await startGateway([tap.address]).connectMux(CLUSTER)
    const { body } = toDuplex(session.open(Buffer.alloc(0)))
    body.write('begun')
    await once(body, 'data')
    await until(() => agent.sessions.length === 1)
    tap.cut()
    await expect(body.toArray()).rejects.toThrow(/connection/)
    expect((await session.closed).clean).toBe(false)
    await agent.sessions[0]?.closed
  })

  test('agent and gateway come back when it does', async () => {
    const agent = await startAgent()
    const gateway = startGateway()
    await gateway.connectMux(CLUSTER)
    await relay.close()
    await until(() => agent.parkedOn.length === 0)
    relay = await startRelay({ identity: identities.relay, listen: relay.address })
    await until(() => agent.parkedOn.length === 1 && gateway.relaysConnected === 1)
    const { session } = await gateway.connectMux(CLUSTER)
    expect(session.state).toBe('open')
  })

  test('a relay that stops lets a session move on before it is cut', async () => {
    await startAgent()
    const gateway = startGateway()
    const { session } = await gateway.connectMux(CLUSTER)
    const stopping = relay.close()
    expect(await session.closed).toMatchObject({ clean: true })
    await stopping
  })

  test('a relay that stops waits for an upgrade, and what it cuts in the end does not look complete', async () => {
    await startAgent({ onUpgrade: (socket) => socket.on('error', () => {}).pipe(socket) })
    const gateway = startGateway()
    const open = async () => {
      const { socket } = await gateway.connectUpgrade(CLUSTER)
      const failed = once(socket, 'error')
      socket.write('begun')
      await once(socket, 'data')
      return { socket, failed }
    }
    const [short, long] = [await open(), await open()]
    const stopping = relay.close(1_000)
    await until(() => gateway.relaysConnected === 0)
    short.socket.end('and ended')
    expect(Buffer.concat(await short.socket.toArray()).toString()).toBe('and ended')
    expect(await long.failed).toMatchObject([{ code: 'ECONNRESET' }])
    expect(long.socket.readableEnded).toBe(false)
    await stopping
  })
})

test('certificates are renewed without losing the relay', async () => {
  const agentIdentity = await identities.authority.identity(`agent/${CLUSTER}/a2`)
  const agent = await startAgent({ identity: agentIdentity })
  const gateway = startGateway()
  await gateway.connectMux(CLUSTER)
  agentIdentity.replace(await identities.authority.material(`agent/${CLUSTER}/a2`))
  identities.relay.replace(await identities.authority.material('relay/r1'))
  identities.gateway.replace(await identities.authority.material('gateway/g1'))
  for (let times = 0; times < 5; times += 1) await gateway.connectMux(CLUSTER)
  expect(agent.parkedOn).toEqual([relay.address])
})
