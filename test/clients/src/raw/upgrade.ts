import { request } from 'node:https'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { ClientWay } from '../ways.ts'

export type Upgraded =
  | { readonly kind: 'upgraded'; readonly headers: Headers; readonly socket: Duplex }
  | { readonly kind: 'refused'; readonly status: number; readonly text: string }

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

const ANSWER_MS_MAX = 60_000

/** Asks for an upgrade on a connection of its own. */
export async function askUpgrade(
  way: ClientWay,
  order: {
    readonly method: 'GET' | 'POST'
    readonly path: string
    readonly headers: Readonly<Record<string, string | string[]>>
    /** Without, the headers have to say who asks. */
    readonly token?: boolean
  },
): Promise<Upgraded> {
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
      text(response).then((body) => resolve({ kind: 'refused', status, text: body }), reject)
    })
    sent.end()
  })
}
