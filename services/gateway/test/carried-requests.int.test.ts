import { createHash } from 'node:crypto'
import { request as httpsRequest } from 'node:https'
import { connect as netConnect } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createClient, http2To, PODS } from './testing/client.ts'
import { eventually, type Gateway, startGateway } from './testing/gateway-harness.ts'
import type { Received } from './testing/recording-agent.ts'
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

test('CN-06, CN-07: host, domain and path prefix lead to the same cluster; SNI must not disagree', async () => {
  for (const [authority, path] of [
    ['demo.localhost:8443', PODS],
    ['demo.gw.test', PODS],
    ['gw.test', `/clusters/demo${PODS}`],
    ['127.0.0.1:1', `/clusters/demo${PODS}?limit=1`],
  ] as const) {
    expect((await client.ask({ authority, path })).status).toBe(200)
  }
  expect(gateway.agent.heads.map(({ target }) => target)).toEqual([
    PODS,
    PODS,
    PODS,
    `${PODS}?limit=1`,
  ])
  const named = http2To(gateway.port, 'other.localhost')
  expect((await client.ask({ session: named })).status).toBe(421)
  named.destroy()
})

test('HH-12: redirects are not passed on, nor cookies and server headers', async () => {
  gateway.agent.handlers.request = (received) => {
    received.respond(302, [['Location', 'https://evil.example/']]).end()
  }
  const redirected = await client.ask()
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
  const { headers } = await client.ask()
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
    expect(await client.ask({ method, path: `${PODS}/p` })).toMatchObject({
      status,
      text: '',
      headers: { etag: '"1"' },
    })
    const asked = `${method} ${PODS}/p HTTP/1.1\r\nHost: demo.localhost\r\nAuthorization: Bearer ${TOKEN}\r\n`
    const { text } = await gateway.raw(`${asked}\r\n${asked}Connection: close\r\n\r\n`)
    expect(text.match(new RegExp(`^HTTP/1\\.1 ${status} `, 'gm'))).toHaveLength(2)
  },
)

test('HH-10: repeated lines stay repeated', async () => {
  const line = 'X-Stream-Protocol-Version'
  const lines = ['v4.channel.k8s.io', 'v3.channel.k8s.io'].map((v) => `${line}: ${v}\r\n`).join('')
  await gateway.raw(
    `GET ${PODS} HTTP/1.1\r\nHost: demo.localhost\r\nConnection: close\r\nAuthorization: bearer ${TOKEN}\r\n${lines}\r\n`,
  )
  const [head] = gateway.agent.heads
  expect(head?.headers.filter(([name]) => name === line)).toHaveLength(2)
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
    const asked = httpsRequest(client.options(PODS), (response) => {
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
    const { end } = await (how === 'h2' ? client.textOverH2(path) : client.textOverH1(path))
    expect(end).toBe('aborted')
  },
)

test.each([
  { how: 'h1', said: '5' },
  { how: 'h2', said: '5' },
  { how: 'h1', said: '3' },
  { how: 'h2', said: '3' },
])(
  'an answer of four bytes that says it has $said is passed on over $how as no clean one',
  async ({ how, said }) => {
    gateway.agent.handlers.request = (received) => {
      received.respond(200, [['Content-Length', said]]).end('four')
    }
    const { end } = await (how === 'h2' ? client.textOverH2(PODS) : client.textOverH1(PODS))
    expect(end).toBe('aborted')
    expect((await gateway.outcome()).annotations['postern.dev/end']).toBe('source-lost')
  },
)

test('an answer whose length cannot be read is not passed on', async () => {
  gateway.agent.handlers.request = (received) => {
    received
      .respond(200, [
        ['Content-Length', '4'],
        ['Content-Length', '4'],
      ])
      .end('four')
  }
  expect((await client.ask()).status).toBe(502)
})

const ADDED = '{"type":"ADDED","object":{}}\n'
const PROTOBUF_EVENT = '\0\0\0\x05k8s\0x'

test.each([
  { how: 'h1', type: 'application/json', sent: ADDED, end: 'clean' },
  { how: 'h2', type: 'application/json;stream=watch', sent: ADDED + ADDED, end: 'clean' },
  { how: 'h2', type: 'application/json', sent: `${ADDED}{"type":`, end: 'aborted' },
  {
    how: 'h1',
    type: 'application/vnd.kubernetes.protobuf;stream=watch',
    sent: PROTOBUF_EVENT,
    end: 'clean',
  },
  {
    how: 'h2',
    type: 'application/vnd.kubernetes.protobuf;stream=watch',
    sent: `${PROTOBUF_EVENT}\0\0`,
    end: 'aborted',
  },
  { how: 'h2', type: 'application/cbor-seq', sent: 'x', end: 'aborted' },
])(
  'a watch ($type over $how) whose cluster is lost after $sent ends $end: its client resumes it without a new list unless an event is torn',
  async ({ how, type, sent, end }) => {
    gateway.agent.handlers.request = (received) => {
      received.respond(200, [['Content-Type', type]]).write(sent)
    }
    const cutOnce = () => gateway.agent.cut()
    const path = `${PODS}?watch=true`
    const watch = how === 'h2' ? client.textOverH2(path, cutOnce) : client.textOverH1(path, cutOnce)
    expect(await watch).toEqual({ text: sent, end })
    expect((await gateway.outcome()).annotations['postern.dev/end']).toBe('source-lost')
  },
)

test.each(['h1', 'h2'])(
  'ST-02: the head of a watch without events reaches the client over %s before any event',
  async (how) => {
    gateway.agent.handlers.request = (received) => {
      received.respond(200, [['Content-Type', 'application/json']])
    }
    const watch = `${PODS}?watch=true`
    if (how === 'h2') {
      const stream = client.stream(watch)
      await new Promise((resolve) => stream.once('response', resolve))
      stream.close()
    } else {
      await new Promise<void>((resolve) => {
        const asked = httpsRequest(client.options(watch), (response) => {
          response.destroy()
          resolve()
        })
        asked.on('error', () => {})
        asked.end()
      })
    }
  },
)

test.each(['h1', 'h2'])(
  'ST-11: a client over %s that goes away cancels the request in the cluster',
  async (how) => {
    let received: Received | undefined
    gateway.agent.handlers.request = (got) => {
      received = got
      got.respond(200, [['Content-Type', 'application/json']]).write('{}\n')
    }
    const watch = `${PODS}?watch=true`
    if (how === 'h2') {
      const stream = client.stream(watch)
      await new Promise((resolve) => stream.once('data', resolve))
      stream.close(8)
    } else {
      await new Promise<void>((resolve) => {
        const asked = httpsRequest(client.options(watch), (response) => {
          response.once('data', () => {
            response.destroy()
            resolve()
          })
        })
        asked.on('error', () => {})
        asked.end()
      })
    }
    await received?.closed
    await eventually(() => gateway.live.count === 0, 'nothing runs any more')
    expect((await gateway.outcome()).annotations['postern.dev/end']).toBe('client-gone')
  },
)

test.each(['h2', 'http/1.1'])(
  'a client over %s that closes its end alone is gone as well, and its connection with it',
  async (protocol) => {
    client.close()
    await eventually(() => gateway.front.connections === 0, 'nobody else')
    const tcp = netConnect({ port: gateway.port, host: '127.0.0.1', allowHalfOpen: true })
    const socket = tlsConnect({
      socket: tcp,
      rejectUnauthorized: false,
      ALPNProtocols: [protocol],
    })
    await new Promise((resolve) => socket.once('secureConnect', resolve))
    await eventually(() => gateway.front.connections === 1, 'the connection')
    const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'
    socket.write(protocol === 'h2' ? preface : 'GET / HTTP/1.1\r\n', 'latin1')
    socket.resume()
    socket.end()
    await eventually(() => gateway.front.connections === 0, 'its end')
    socket.destroy()
  },
)

test('a client that does not take its answers gets few of them, and leaves nothing behind when it goes', async () => {
  const asked = 400
  gateway.agent.handlers.request = (received) => {
    const body = Buffer.alloc(60_000, 'a')
    received.respond(200, [['Content-Length', String(body.length)]]).end(body)
  }
  const socket = await gateway.connect()
  socket.pause()
  const ask = `GET ${PODS} HTTP/1.1\r\nHost: demo.localhost\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`
  socket.write(ask.repeat(asked))
  let before = -1
  const seen = () => gateway.agent.heads.length
  // Nothing is asked for while a good while passes: the client is waited for.
  await expect
    .poll(
      () => {
        const isStill = seen() > 0 && seen() === before
        before = seen()
        return isStill
      },
      { interval: 300, timeout: 20_000 },
    )
    .toBe(true)
  const carried = seen()
  expect(carried).toBeLessThan(asked)
  socket.destroy()
  await eventually(() => gateway.live.count === 0, 'nothing runs any more')
  const outcomes = await gateway.records()
  expect(outcomes.filter(({ stage }) => stage === 'ResponseComplete')).toHaveLength(carried)
  expect(outcomes.at(-1)?.annotations['postern.dev/end']).toBe('client-gone')
})
