import { once } from 'node:events'
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import type { TlsMaterial } from '@postern/pki'
import { createTestAuthority } from '@postern/pki/testing'
import { createMemoryLog } from '@postern/telemetry/testing'
import {
  type ControlConnection,
  type ControlMessage,
  createControlConnection,
  encodePreface,
  pairServerName,
  relayServerName,
} from '@postern/tunnel'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { RelayLimits } from '../src/limits.ts'
import {
  agentEnd,
  CLUSTER,
  clientHelloFor,
  closedSoon,
  counted,
  createIdentities,
  dialRaw,
  gatewayEnd,
  type Identities,
  startRelay,
  type TestRelay,
  TRUST_DOMAIN,
  until,
} from './tunnel-fixture.ts'

let identities: Identities
let relay: TestRelay
const closing: (() => unknown)[] = []
let log = createMemoryLog()

async function begin(limits: Partial<RelayLimits> = {}): Promise<void> {
  relay = await startRelay({ identity: identities.relay, limits })
  closing.push(() => relay.close())
}
beforeAll(async () => {
  identities = await createIdentities()
})
beforeEach(async () => {
  log = createMemoryLog()
  await begin({ firstBytesMs: 300, pairMs: 400, handshakeMs: 300 })
})
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

const refusals = (cause: string) =>
  counted(relay.metrics, new RegExp(`relay_refusals_total.*cause="${cause}"`))

/** A control connection as anyone could open it, with what the relay says to it. */
function control(material: Partial<TlsMaterial>, servername = relayServerName(TRUST_DOMAIN)) {
  const { host, port } = { host: '127.0.0.1', port: Number(relay.address.split(':')[1]) }
  const ca = identities.relay.current().ca
  const socket = connectTls({
    host,
    port,
    servername,
    ca,
    ...material,
    checkServerIdentity: () => undefined,
  })
  const messages: ControlMessage[] = []
  let closed = false
  const connection: ControlConnection = createControlConnection({
    socket,
    onMessage: (message) => messages.push(message),
    onClose: () => {
      closed = true
    },
  })
  closing.push(() => connection.close())
  const received = async (type: ControlMessage['type']): Promise<ControlMessage> => {
    await until(() => messages.some((message) => message.type === type))
    const [message] = messages.filter((candidate) => candidate.type === type)
    if (message === undefined) throw new Error('it was there')
    return message
  }
  return { socket, connection, messages, received, isClosed: () => closed }
}

/** A gateway and an agent that do by hand what the library does, up to the number. */
async function pairedNumber(): Promise<string> {
  const agent = control(identities.agent.current())
  agent.connection.send({ type: 'park' })
  await agent.received('ready')
  const gateway = control(identities.gateway.current())
  await gateway.received('ready')
  gateway.connection.send({ type: 'pair', requestId: 1, clusterId: CLUSTER, purpose: 'upgrade' })
  const dial = await agent.received('dial')
  const paired = await gateway.received('paired')
  if (dial.type !== 'dial' || paired.type !== 'paired') throw new Error('not what was asked for')
  expect(dial.number).toBe(paired.number)
  return paired.number
}

describe('only parts of Postern get a control connection', () => {
  test.each([
    { name: 'a relay', path: 'relay/r2' },
    { name: 'a service', path: 'service/policy' },
  ])('$name is refused', async ({ path }) => {
    const stranger = control(await identities.authority.material(path))
    await until(stranger.isClosed)
    expect(stranger.messages).toEqual([])
    expect(await refusals('peer')).toBe(1)
  })

  test('nobody at all is refused', async () => {
    const stranger = control({})
    await until(stranger.isClosed)
    expect(stranger.messages).toEqual([])
  })

  test('an agent of an authority of its own making is refused', async () => {
    const evil = await createTestAuthority(TRUST_DOMAIN)
    const { cert, key } = await evil.material(`agent/${CLUSTER}/a1`)
    const stranger = control({ cert, key })
    stranger.connection.send({ type: 'park' })
    await until(stranger.isClosed)
    expect(stranger.messages).toEqual([])
    expect(await refusals('handshake')).toBe(1)
    await until(async () => (await counted(relay.metrics, /relay_strangers/)) === 0)
    expect(await counted(relay.metrics, /relay_parked_agents/)).toBe(0)
  })

  test('an expired certificate is refused', async () => {
    const now = new Date(Date.now() - 3 * 3600_000)
    const stranger = control(
      await identities.authority.material(`agent/${CLUSTER}/a1`, { now, lifeSeconds: 3600 }),
    )
    await until(stranger.isClosed)
    expect(stranger.messages).toEqual([])
  })

  test('a gateway may not park, and an agent may not ask for pairs', async () => {
    const gateway = control(identities.gateway.current())
    gateway.connection.send({ type: 'park' })
    await until(gateway.isClosed)
    const agent = control(identities.agent.current())
    agent.connection.send({ type: 'pair', requestId: 1, clusterId: CLUSTER, purpose: 'mux' })
    await until(agent.isClosed)
    expect(await counted(relay.metrics, /relay_parked_agents/)).toBe(0)
    expect(await refusals('protocol')).toBe(2)
  })

  test('an agent is parked for the cluster of its certificate and for no other', async () => {
    const agent = control(await identities.authority.material('agent/cluster-2/a1'))
    agent.connection.send({ type: 'park' })
    await agent.received('ready')
    const gateway = control(identities.gateway.current())
    gateway.connection.send({ type: 'pair', requestId: 7, clusterId: CLUSTER, purpose: 'mux' })
    expect(await gateway.received('refused')).toEqual({
      type: 'refused',
      requestId: 7,
      reason: 'no-agent',
    })
    expect(agent.messages.map(({ type }) => type)).toEqual(['ready'])
  })

  test('a cluster has at most so many agents on a relay', async () => {
    await relay.close()
    await begin({ agentsPerClusterMax: 2 })
    for (let count = 0; count < 2; count += 1) {
      const agent = control(identities.agent.current())
      agent.connection.send({ type: 'park' })
      await agent.received('ready')
    }
    const third = control(identities.agent.current())
    third.connection.send({ type: 'park' })
    await until(third.isClosed)
    expect(await counted(relay.metrics, /relay_parked_agents/)).toBe(2)
  })
})

describe('a number', () => {
  test('joins its two ends, and never again', async () => {
    const number = await pairedNumber()
    const gateway = dialRaw(relay.address)
    gateway.write(encodePreface(number))
    const agent = helloFor(number)
    const [hello] = await once(gateway, 'data')
    expect(hello[0]).toBe(0x16)

    const again = dialRaw(relay.address)
    again.write(encodePreface(number))
    await closedSoon(again)
    await closedSoon(helloFor(number))
    expect(await refusals('number')).toBe(2)
    expect(gateway.destroyed).toBe(false)
    agent.destroy()
    await closedSoon(gateway)
  })

  test('cannot be claimed by two gateways', async () => {
    const number = await pairedNumber()
    const claims = [dialRaw(relay.address), dialRaw(relay.address)]
    for (const claim of claims) {
      claim.resume()
      claim.write(encodePreface(number))
    }
    await until(() => claims.some(({ readableEnded, destroyed }) => readableEnded || destroyed))
    expect(await refusals('number')).toBe(1)
    expect(await counted(relay.metrics, /relay_pairs_waiting/)).toBe(1)
    for (const claim of claims) claim.destroy()
  })

  test('that was guessed is refused', async () => {
    await pairedNumber()
    const guess = dialRaw(relay.address)
    guess.write(encodePreface('0'.repeat(32)))
    await closedSoon(guess)
    await closedSoon(helloFor('f'.repeat(32)))
    expect(await refusals('number')).toBe(2)
  })

  test('is void after its time, and who waited with it is cut off', async () => {
    const number = await pairedNumber()
    const gateway = dialRaw(relay.address)
    gateway.write(encodePreface(number))
    await closedSoon(gateway)
    await closedSoon(helloFor(number))
    expect(await refusals('number')).toBe(1)
    expect(await counted(relay.metrics, /relay_pairs_waiting/)).toBe(0)
  })
})

/** A data connection that begins as an agent's. */
function helloFor(number: string): TLSSocket {
  const socket = connectTls({
    host: '127.0.0.1',
    port: Number(relay.address.split(':')[1]),
    servername: pairServerName(number, TRUST_DOMAIN),
  })
  socket.on('error', () => {})
  return socket
}

describe('first bytes', () => {
  test.each([
    { name: 'nothing', bytes: '' },
    { name: 'HTTP', bytes: 'GET / HTTP/1.1\r\n\r\n' },
    { name: 'half a preface', bytes: 'POSTERN-PAIR/1 0123' },
    { name: 'a preface with no number', bytes: `POSTERN-PAIR/1 ${'z'.repeat(32)}\n` },
    { name: 'a record that is no ClientHello', bytes: '\x16\x03\x01\x00\x04\x02\x00\x00\x00' },
    { name: 'the start of a ClientHello', bytes: '\x16\x03\x01\x02\x00\x01\x00' },
  ])('$name: the connection is closed in time', async ({ bytes }) => {
    const socket = dialRaw(relay.address)
    socket.write(Buffer.from(bytes, 'latin1'))
    await closedSoon(socket)
    await until(async () => (await counted(relay.metrics, /relay_strangers/)) === 0)
  })

  test('a ClientHello that drips in is cut at the deadline, and others are served meanwhile', async () => {
    const slow = dialRaw(relay.address)
    slow.write(Buffer.from('1603010200010001fc0303', 'hex'))
    const dripping = setInterval(() => {
      if (!slow.destroyed) slow.write(Buffer.alloc(1))
    }, 20)
    const gateway = control(identities.gateway.current())
    await gateway.received('ready')
    await closedSoon(slow)
    clearInterval(dripping)
  })

  test.each(['example.com', `nobody.${TRUST_DOMAIN}`, TRUST_DOMAIN, `x.pair.${TRUST_DOMAIN}`])(
    'a ClientHello for %s goes nowhere',
    async (servername) => {
      const stranger = control(identities.gateway.current(), servername)
      await until(stranger.isClosed)
      expect(await refusals('first-bytes')).toBe(1)
    },
  )

  test('a handshake that is begun and left is cut, and counts as a stranger until then', async () => {
    const socket = dialRaw(relay.address)
    socket.write(await clientHelloFor(relayServerName(TRUST_DOMAIN)))
    await until(async () => (await counted(relay.metrics, /relay_strangers/)) === 1)
    await closedSoon(socket)
    await until(async () => (await counted(relay.metrics, /relay_strangers/)) === 0)
  })

  test('connections that say nothing are bounded, and make room again', async () => {
    await relay.close()
    await begin({ strangersMax: 5, firstBytesMs: 500 })
    const silent = Array.from({ length: 5 }, () => dialRaw(relay.address))
    await until(async () => (await counted(relay.metrics, /relay_strangers/)) === 5)
    await closedSoon(dialRaw(relay.address))
    expect(await refusals('strangers')).toBe(1)
    await Promise.all(silent.map(closedSoon))
    const gateway = control(identities.gateway.current())
    await gateway.received('ready')
  })
})

describe('a relay that lies', () => {
  test('a gateway refuses an agent of another cluster', async () => {
    // The relay pairs it with whoever it likes; what the certificates say decides.
    await parkAs(`agent/cluster-2/a1`, CLUSTER)
  })
  test('a gateway refuses another gateway in place of the agent', async () => {
    await parkAs('gateway/g2', CLUSTER)
  })
  test('a gateway refuses the relay itself in place of the agent', async () => {
    await parkAs('relay/r1', CLUSTER)
  })
  test('a gateway refuses an agent of an authority of its own making', async () => {
    const evil = await createTestAuthority(TRUST_DOMAIN)
    await parkAs(`agent/${CLUSTER}/a1`, CLUSTER, evil)
  })

  /** Parks a true agent, but another one answers its dial. */
  async function parkAs(path: string, cluster: string, authority = identities.authority) {
    const impostor = await authority.material(path)
    const decoy = control(identities.agent.current())
    decoy.connection.send({ type: 'park' })
    await decoy.received('ready')
    const gateway = gatewayEnd([relay.address], identities.gateway, log)
    closing.push(() => gateway.close())
    const connecting = gateway.connectUpgrade(cluster)
    connecting.catch(() => {})
    const dial = await decoy.received('dial')
    if (dial.type !== 'dial') throw new Error('not a dial')
    const socket = connectTls({
      host: '127.0.0.1',
      port: Number(relay.address.split(':')[1]),
      servername: pairServerName(dial.number, TRUST_DOMAIN),
      ALPNProtocols: ['postern-upgrade/1'],
      cert: impostor.cert,
      key: impostor.key,
      ca: identities.relay.current().ca,
      checkServerIdentity: () => undefined,
    })
    let received = 0
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length
    })
    await closedSoon(socket)
    expect(received).toBe(0)
    decoy.connection.close()
    await expect(connecting).rejects.toMatchObject({ reason: 'peer-refused' })
  }

  test.each([
    { name: 'another agent', path: `agent/${CLUSTER}/a9` },
    { name: 'the relay itself', path: 'relay/r1' },
    { name: 'a service', path: 'service/policy' },
  ])('an agent refuses $name in place of the gateway', async ({ path }) => {
    const agent = await agentEnd({ relays: [relay.address], identity: identities.agent, log })
    closing.push(() => agent.close(0))
    await until(() => agent.parkedOn.length === 1)
    const impostor = await identities.authority.material(path)
    const gateway = control(identities.gateway.current())
    gateway.connection.send({ type: 'pair', requestId: 1, clusterId: CLUSTER, purpose: 'mux' })
    const paired = await gateway.received('paired')
    if (paired.type !== 'paired') throw new Error('not paired')
    const { cert, key, ca } = impostor
    const server = createTlsServer({ cert, key, ca, ALPNProtocols: ['postern-mux/1'] })
    const raw = dialRaw(relay.address)
    await new Promise((resolve) => raw.write(encodePreface(paired.number), resolve))
    server.emit('connection', raw)
    const reason = 'the certificate of the other side is not that of a gateway'
    await until(() =>
      log.records.some(({ fields }) => 'reason' in fields && fields.reason === reason),
    )
    raw.destroy()
    expect(agent.sessions).toEqual([])
  })
})
