import { type Duplex, duplexPair } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import type { ResponseHead } from '@postern/kube-http'
import type { ClientListener, FrontRequest, RequestHandler } from './front-interface.ts'
import { FRONT_LIMITS, type FrontLimits } from './front-limits.ts'
import type { FrontNeeds } from './front-needs.ts'
import { Http1Connection } from './http1-connection.ts'
import type { Peer } from './peer.ts'

export const OK: ResponseHead = { status: 200, headers: [['Date', 'today']] }

/** Both ends of a connection, joined in memory, and what whoever serves it needs. */
export function join(
  handle: RequestHandler,
  { limits = FRONT_LIMITS, budgetBytes = 1 << 24 }: { limits?: FrontLimits; budgetBytes?: number },
) {
  const [client, server]: Duplex[] = duplexPair()
  if (client === undefined || server === undefined) throw new Error('duplexPair made no pair')
  const malformed: string[] = []
  const state = { closed: false, ended: false }
  client.on('end', () => {
    state.ended = true
  })
  client.on('error', () => {})
  const peer: Peer = { remoteAddress: '10.0.0.1', serverName: 'demo.localhost', memory: {} }
  const needs: FrontNeeds & { onClosed(): void } = {
    handle,
    onMalformed: (_address, problem) => void malformed.push(problem),
    onClosed: () => {
      state.closed = true
    },
    flushSoon: (written) => void setImmediate(() => written.flush()),
    headBudget: { bytesLeft: budgetBytes },
    limits,
  }
  return { client, server, state, malformed, peer, needs }
}

/** A client that speaks HTTP/1.1, and the connection that serves it. */
export function connect(handle: RequestHandler, limits: FrontLimits = FRONT_LIMITS) {
  const joined = join(handle, { limits })
  const { client, server, malformed, peer, needs } = joined
  const state = Object.assign(joined.state, { draining: false, text: '' })
  const isDraining = () => state.draining
  const connection = new Http1Connection(server, peer, { ...needs, isDraining })
  client.on('data', (chunk: Buffer) => {
    state.text += chunk.toString('latin1')
  })
  return {
    client,
    server,
    connection,
    malformed,
    state,
    send: async (text: string): Promise<string> => {
      client.write(text, 'latin1')
      await settle()
      return state.text
    },
    pass: (ms: number) => connection.checkDeadline(Date.now() + ms),
  }
}

/** Nothing here waits for anything but turns of the event loop. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 8; turns += 1) await turn()
}

/** Answers with what was asked, at once. */
export const echo = (request: FrontRequest): void => {
  request.answer(OK, Buffer.from(`${request.head.method} ${request.head.target}`))
}

/** Keeps requests for later, with what was heard of their clients. */
export function keeper() {
  const requests: FrontRequest[] = []
  const heard: string[] = []
  const listener: ClientListener = {
    onBody: (chunk) => void heard.push(chunk.toString()),
    onBodyEnd: () => void heard.push('end of body'),
    onAnswerDrain: () => void heard.push('drain'),
    onSent: () => void heard.push('sent'),
    onGone: () => void heard.push('gone'),
  }
  return {
    requests,
    heard,
    listener,
    handle: (request: FrontRequest) => void requests.push(request),
  }
}

export const get = (path: string, lines = '') => `GET ${path} HTTP/1.1\r\nHost: h\r\n${lines}\r\n`
export const post = (path: string, lines: string, body = '') =>
  `POST ${path} HTTP/1.1\r\nHost: h\r\n${lines}\r\n${body}`
export const answerTo = (what: string, lines = '') =>
  `HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: ${what.length}\r\n${lines}\r\n${what}`
