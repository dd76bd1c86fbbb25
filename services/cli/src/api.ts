import { Agent, request } from 'undici'
import { CliError, EXIT } from './exit-code.ts'
import type { SignIn } from './sign-in.ts'

export type Json = Record<string, unknown>

/** The public API (GET /openapi.json describes it). Every failure is a CliError that says what to do. */
export type Api = {
  call(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: Json): Promise<Json>
  /** All pages of a list. */
  all(path: string, key: string, query?: Query): Promise<Json[]>
  text(path: string): Promise<string>
}

export type Query = Readonly<Record<string, string | undefined>>

const CALL_MS_MAX = 30_000
const PAGE_SIZE = '500'
const PAGES_MAX = 1000
const UNAUTHENTICATED = 401
const SERVER_FAULT = 500

export function createApi({ url, ca, token }: SignIn): Api {
  const dispatcher = new Agent({ connect: ca === undefined ? {} : { ca } })

  async function send(method: string, path: string, body: Json | undefined): Promise<string> {
    let status: number
    let text: string
    try {
      const answer = await request(new URL(path, url), {
        method,
        dispatcher,
        headersTimeout: CALL_MS_MAX,
        bodyTimeout: CALL_MS_MAX,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        body: body === undefined ? null : JSON.stringify(body),
      })
      status = answer.statusCode
      text = await answer.body.text()
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new CliError(EXIT.unavailable, `Postern cannot be reached at ${url}: ${why}`)
    }
    if (status >= 400) throw toError(status, text)
    return text
  }

  const api: Api = {
    call: async (method, path, body) => toJson(await send(method, path, body)),
    text: (path) => send('GET', path, undefined),
    async all(path, key, query = {}) {
      const items: Json[] = []
      let pageToken = ''
      for (let page = 0; page < PAGES_MAX; page += 1) {
        const parameters = { ...query, pageSize: PAGE_SIZE, pageToken }
        const answer = await api.call('GET', withQuery(path, parameters))
        const list = answer[key]
        if (Array.isArray(list)) items.push(...list.map(toObject))
        pageToken = textOf(answer['nextPageToken'])
        if (pageToken === '') return items
      }
      throw new CliError(EXIT.refused, `the list of ${path} does not end`)
    },
  }
  return api
}

export function withQuery(path: string, query: Query): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') parameters.set(name, value)
  }
  return parameters.size === 0 ? path : `${path}?${parameters.toString()}`
}

/** A path segment: whatever the user typed stays one segment. */
export function segment(text: string): string {
  return encodeURIComponent(text)
}

export function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

export function toObject(value: unknown): Json {
  return typeof value === 'object' && value !== null
    ? Object.fromEntries(Object.entries(value))
    : {}
}

function toJson(text: string): Json {
  return toObject(JSON.parse(text))
}

function toError(status: number, text: string): CliError {
  let message = text.slice(0, 500)
  try {
    const { detail, details, traceId } = toJson(text)
    const more = Object.entries(toObject(details)).map(
      ([name, value]) => `${name}: ${String(value)}`,
    )
    const trace = traceId === undefined ? [] : [`trace ${textOf(traceId)}`]
    message = [textOf(detail), ...more, ...trace].join('; ')
  } catch {
    // Not ours: a proxy in between. Its text is all there is.
  }
  if (status === UNAUTHENTICATED) return new CliError(EXIT.signedOut, message)
  return new CliError(status >= SERVER_FAULT ? EXIT.unavailable : EXIT.refused, message)
}
