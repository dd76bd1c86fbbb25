import { once } from 'node:events'
import { createServer } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { createMemoryLog } from '@postern/telemetry/testing'
import { afterEach, beforeAll, expect, test } from 'vitest'
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
  listening,
  startRelay,
  TRUST_DOMAIN,
  until,
} from './tunnel-fixture.ts'

let identities: Identities
const closing: (() => unknown)[] = []
const log = createMemoryLog()

beforeAll(async () => {
  identities = await createIdentities()
})
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

async function begin(options: Omit<Parameters<typeof startRelay>[0], 'identity'>) {
  const relay = await startRelay({ identity: identities.relay, ...options })
  closing.push(() => relay.close())
  return relay
}

test('an agent reaches the services behind the relay end to end, and each way ends by itself', async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.resume()
    socket.on('end', () => socket.end(`${socket.bytesRead} bytes`))
  })
  const upstream = await listening(server)
  closing.push(() => server.close())
  const relay = await begin({ upstreams: { join: upstream } })
  const hello = await clientHelloFor(`join.${TRUST_DOMAIN}`)
  const socket = dialRaw(relay.address)
  socket.write(hello.subarray(0, 20))
  await until(async () => (await counted(relay.metrics, /relay_strangers/)) === 1)
  socket.end(Buffer.concat([hello.subarray(20), Buffer.alloc(1_000_000)]))
  const answer = Buffer.concat(await socket.toArray()).toString()
  expect(answer).toBe(`${hello.length + 1_000_000} bytes`)
  await until(async () => (await counted(relay.metrics, /relay_splices\{/)) === 0)
  expect(await counted(relay.metrics, /bytes_total.*kind="join".*"up"/)).toBe(
    hello.length + 1_000_000,
  )
})

test('whoever crowds to the services takes no place from pairs', async () => {
  const upstream = createServer(() => {})
  const address = await listening(upstream)
  closing.push(() => upstream.close())
  const limits = { splicesMax: 3, serviceSplicesMax: 2 }
  const relay = await begin({ limits, upstreams: { join: address } })
  const crowd = Array.from({ length: 6 }, () => {
    const port = Number(relay.address.split(':')[1])
    const socket = connectTls({ host: '127.0.0.1', port, servername: `join.${TRUST_DOMAIN}` })
    socket.on('error', () => {})
    closing.push(() => socket.destroy())
    return socket
  })
  await until(() => crowd.filter(({ closed }) => closed).length === 4)
  const agent = await agentEnd({ relays: [relay.address], identity: identities.agent, log })
  closing.push(() => agent.close(0))
  await until(() => agent.parkedOn.length === 1)
  const gateway = gatewayEnd([relay.address], identities.gateway, log)
  closing.push(() => gateway.close())
  await expect(gateway.connectMux(CLUSTER)).resolves.toMatchObject({ agentId: 'a1' })
})

test('a relay that stops waits for a join, and not for what an agent keeps open to the services', async () => {
  const upstream = createServer((socket) => void socket.on('error', () => {}).pipe(socket))
  const address = await listening(upstream)
  closing.push(() => upstream.close())
  const relay = await begin({ upstreams: { join: address, session: address } })
  const reach = async (service: string) => {
    const socket = dialRaw(relay.address)
    socket.write(await clientHelloFor(`${service}.${TRUST_DOMAIN}`))
    await once(socket, 'data')
    socket.resume()
    return socket
  }
  const [kept, join] = [await reach('session'), await reach('join')]
  let isStopped = false
  const stopping = relay.close(60_000).then(() => {
    isStopped = true
  })
  join.write('more')
  await once(join, 'data')
  expect([isStopped, kept.closed]).toEqual([false, false])
  join.end()
  await stopping
  await until(() => kept.closed)
})

test('a service that is down closes the connection', async () => {
  const relay = await begin({})
  const socket = dialRaw(relay.address)
  socket.write(await clientHelloFor(`session.${TRUST_DOMAIN}`))
  await closedSoon(socket)
  expect(await counted(relay.metrics, /relay_refusals_total.*cause="upstream"/)).toBe(1)
})
