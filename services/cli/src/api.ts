import { Agent, request } from 'undici'
import { CliError, EXIT } from './exit-code.ts'
import { printable } from './output/printable.ts'
import type { SignIn } from './sign-in.ts'

export type Json = Record<string, unknown>

/** The public API (GET /openapi.json describes it). Every failure is a CliError that says what to do. */
export type Api = {
  call(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: Json,
    options?: { readonly msMax?: number },
  ): Promise<Json>
  /** All pages of a list. */
  all(path: string, key: string, query?: Query): Promise<Json[]>
  text(path: string): Promise<string>
}

export type Query = Readonly<Record<string, string | undefined>>

const CALL_MS_MAX = 30_000
const PAGE_SIZE = '500'
const PAGES_MAX = 1000
const OK = 200
const UNAUTHENTICATED = 401
const SERVER_FAULT = 500

export function createApi({ url, ca, token }: SignIn): Api {
  const dispatcher = new Agent({ connect: ca === undefined ? {} : { ca } })

  async function send(
    method: string,
    path: string,
    body: Json | undefined,
    msMax = CALL_MS_MAX,
  ): Promise<string> {
    let status: number
    let text: string
    try {
      const answer = await request(new URL(path, url), {
        method,
        dispatcher,
        headersTimeout: msMax,
        bodyTimeout: msMax,
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
    if (status !== OK) throw toError(status, text)
    return text
  }

  const api: Api = {
    call: async (method, path, body, { msMax } = {}) =>
      toJson(await send(method, path, body, msMax)),
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

/** What answers may be a secret: it is never in the message. */
function toJson(text: string): Json {
  const found = jsonIn(text)
  if (found !== undefined) return found
  throw new CliError(EXIT.unavailable, 'what answered is not the Postern API: it sent no JSON')
}

function jsonIn(text: string): Json | undefined {
  try {
    return toObject(JSON.parse(text))
  } catch {
    return undefined
  }
}

function toError(status: number, text: string): CliError {
  const message = printable(messageOf(status, jsonIn(text)))
  if (status === UNAUTHENTICATED) return new CliError(EXIT.signedOut, message)
  const isRefusal = status >= 400 && status < SERVER_FAULT
  return new CliError(isRefusal ? EXIT.refused : EXIT.unavailable, message)
}

/** RFC 9457 problem details, or what something in between answered. */
function messageOf(status: number, problem: Json | undefined): string {
  const detail = textOf(problem?.['detail'])
  if (problem === undefined || detail === '') {
    return `what answered is not the Postern API: it sent the status ${status}`
  }
  const more = Object.entries(toObject(problem['details'])).map(
    ([name, value]) => `${name}: ${String(value)}`,
  )
  const trace = textOf(problem['traceId'])
  return [detail, ...more, ...(trace === '' ? [] : [`trace ${trace}`])].join('; ')
}
