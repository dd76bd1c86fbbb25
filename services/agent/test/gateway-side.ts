import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import {
  decodeResponseHead,
  EncodedLines,
  encodeRequestHead,
  type RequestHead,
  type ResponseHead,
} from '@postern/kube-http'
import { toDuplex } from '@postern/mux'
import { createMuxPair } from '@postern/mux/testing'
import { createMetrics } from '@postern/telemetry'
import { createSilentLog } from '@postern/telemetry/testing'
import { createCredentialLines } from '../src/forward/cluster-request.ts'
import type { ForwardNeeds } from '../src/forward/forward-needs.ts'
import { forwardStream } from '../src/forward/forward-stream.ts'
import { forwardUpgrade } from '../src/forward/forward-upgrade.ts'
import { createLiveStreams } from '../src/forward/live-streams.ts'
import { createAgentSignals } from '../src/signals.ts'
import { dialKubernetes } from '../src/upstream/dial-kubernetes.ts'
import { createUpstreamPool } from '../src/upstream/upstream-pool.ts'
import { createWatchSessions } from '../src/upstream/watch-sessions.ts'

export const SESSION = '01900000-0000-7000-8000-000000000001'
const TOKEN = 'jit-token'

/** The data path of an agent, and a gateway that talks to it. */
export function startDataPath(server: Parameters<typeof dialKubernetes>[0]) {
  const dial = () => dialKubernetes(server, { halfOpen: true })
  const live = createLiveStreams()
  const broken: string[] = []
  const upstream = createUpstreamPool({
    server,
    connectionsMax: 8,
  })
  const watches = createWatchSessions({
    server,
    sessionsMax: 4,
    otherwise: upstream,
  })
  const needs: ForwardNeeds = {
    keeper: {
      token: (sessionId) =>
        sessionId === SESSION ? { value: TOKEN, issuedAtMs: 0, expiresAtMs: 1e15 } : undefined,
      tokenSoon: (sessionId) =>
        Promise.resolve(sessionId === 'making' ? 'no-token' : 'unknown-session'),
      foundBroken: (sessionId) => broken.push(sessionId),
    },
    upstream,
    watches,
    dial,
    credentials: createCredentialLines(`${server.host}:${server.port}`),
    live,
    signals: createAgentSignals(createMetrics('agent')),
    log: createSilentLog(),
  }
  const pair = createMuxPair()
  const working: Promise<void>[] = []
  pair.server.onStream((stream, head) => {
    forwardStream(stream, head, needs)
  })
  const upgrades = createServer({ allowHalfOpen: true }, (socket) => {
    // The TLS of the tunnel is not what is tested here.
    working.push(forwardUpgrade(socket, needs))
  })
  const sockets: Socket[] = []

  return {
    live,
    broken,
    /** Sends a request; the body is what the test writes to the stream. */
    request(head: Partial<RequestHead>) {
      return toDuplex(pair.client.open(encode(requestHead(head))))
    },
    async answer(head: Partial<RequestHead>, body = ''): Promise<ResponseHead & { body: string }> {
      const { head: answered, body: stream } = this.request(head)
      stream.on('error', () => {})
      stream.end(body)
      const decoded = decodeResponseHead(await answered)
      return { ...decoded, body: await text(stream) }
    },
    async upgrade(head: Partial<RequestHead>): Promise<Socket> {
      if (!upgrades.listening) {
        upgrades.listen(0, '127.0.0.1')
        await once(upgrades, 'listening')
      }
      const address = upgrades.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
      socket.on('error', () => {})
      sockets.push(socket)
      socket.write(withLength(encode(requestHead({ upgrade: 'websocket', ...head }))))
      return socket
    },
    async close() {
      watches.close()
      upstream.close()
      pair.cut()
      for (const socket of sockets) socket.destroy()
      upgrades.close()
      await Promise.allSettled(working)
    },
  }
}

export type DataPath = ReturnType<typeof startDataPath>

function encode(head: RequestHead): Buffer {
  return encodeRequestHead(head, new EncodedLines(head.headers))
}

function requestHead(change: Partial<RequestHead>): RequestHead {
  return {
    sessionId: SESSION,
    auditId: 'audit-1',
    traceparent: '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01',
    method: 'GET',
    target: '/api/v1/pods',
    headers: [],
    ...change,
  }
}

export async function text(stream: AsyncIterable<unknown>): Promise<string> {
  let all = ''
  for await (const chunk of stream) all += String(chunk)
  return all
}

function withLength(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}
