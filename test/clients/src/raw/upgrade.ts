import { request } from 'node:https'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout as setTimer } from 'node:timers/promises'
import type { ClientWay } from '../ways.ts'

export type Upgraded =
  | { readonly kind: 'upgraded'; readonly headers: Headers; readonly socket: Duplex }
  | Refused

type Refused = {
  readonly kind: 'refused'
  readonly status: number
  readonly text: string
  /** It may be asked again. */
  readonly again: boolean
}

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

const ANSWER_MS_MAX = 60_000
const TRIES_MAX = 5
const AGAIN_MS = 1_000

type Order = {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string | string[]>>
  /** Without, the headers have to say who asks. */
  readonly token?: boolean
}

/**
 * Asks for an upgrade on a connection of its own. What is answered 503 with Retry-After was not
 * forwarded, and is asked again.
 */
export async function askUpgrade(way: ClientWay, order: Order): Promise<Upgraded> {
  for (let tries = 1; ; tries++) {
    const answer = await askOnce(way, order)
    if (answer.kind === 'upgraded' || !answer.again || tries === TRIES_MAX) return answer
    await setTimer(AGAIN_MS)
  }
}

async function askOnce(way: ClientWay, order: Order): Promise<Upgraded> {
  const { method, path, headers, token = true } = order
  const credentials = token ? { authorization: `Bearer ${way.token}` } : {}
  const sent = request(`${way.url}${path}`, {
    method,
    ca: way.ca,
    agent: false,
    headers: { connection: 'Upgrade', ...credentials, ...headers },
  })
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(() => sent.destroy(new Error('no answer came')), ANSWER_MS_MAX)
    sent.on('error', reject)
    sent.on('close', () => clearTimeout(timer))
    sent.on('upgrade', (response, socket, early) => {
      clearTimeout(timer)
      if (early.length > 0) socket.unshift(early)
      resolve({ kind: 'upgraded', headers: response.headers, socket })
    })
    sent.on('response', (response) => {
      const status = response.statusCode ?? 0
      const again = status === 503 && response.headers['retry-after'] !== undefined
      text(response).then((body) => resolve({ kind: 'refused', status, text: body, again }), reject)
    })
    sent.end()
  })
}
