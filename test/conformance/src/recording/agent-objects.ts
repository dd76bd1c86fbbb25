import { randomUUID } from 'node:crypto'

/** What an agent does in its own name, answered as far as an agent needs it. */
export type AgentAnswer = { readonly status: number; readonly body: object }

type Stored = { metadata?: { name?: string; labels?: Record<string, string> } }

const ACCOUNT_TOKEN = /^account:(.+):[0-9a-f-]+$/
const TOKEN_PATH = /^\/api\/v1\/namespaces\/postern-jit\/serviceaccounts\/([^/]+)\/token$/
const TOKEN_LIFE_MS = 3_600_000

/** The account that a token was given to; undefined for what we never gave out. */
export function accountOf(token: string): string | undefined {
  return ACCOUNT_TOKEN.exec(token)?.[1]
}

/** The objects of one cluster that only an agent looks at: accounts, bindings, its own identity. */
export function createAgentObjects() {
  const objects = new Map<string, Stored>()

  function answer(method: string, target: string, body: string): AgentAnswer {
    const [path = '', query = ''] = target.split('?')
    const account = TOKEN_PATH.exec(path)?.[1]
    if (path === '/version') return ok({ gitVersion: 'v1.35.4-recording' })
    if (path.endsWith('/selfsubjectaccessreviews')) return ok({ status: allowedTo(body) }, 201)
    if (account !== undefined) {
      const expirationTimestamp = new Date(Date.now() + TOKEN_LIFE_MS).toISOString()
      return ok(
        { status: { token: `account:${account}:${randomUUID()}`, expirationTimestamp } },
        201,
      )
    }
    switch (method) {
      case 'POST':
        return create(path, body)
      case 'PUT':
        return ok(store(path, body))
      case 'DELETE':
        return objects.delete(path) ? ok({}) : missing()
      default:
        return read(path, query)
    }
  }

  function create(collection: string, body: string): AgentAnswer {
    const name = parsed(body).metadata?.name ?? ''
    const path = `${collection}/${name}`
    if (objects.has(path)) return { status: 409, body: { kind: 'Status', message: 'exists' } }
    return ok(store(path, body), 201)
  }

  function store(path: string, body: string): Stored {
    const { stringData, data, ...rest } = parsed(body)
    const kept = {
      ...rest,
      data: { ...data, ...encoded(stringData) },
      metadata: { ...rest.metadata, uid: randomUUID(), resourceVersion: '1' },
    }
    objects.set(path, kept)
    return kept
  }

  function read(path: string, query: string): AgentAnswer {
    const found = objects.get(path)
    if (found !== undefined) return ok(found)
    if (path.endsWith('/postern-agent-identity')) return missing()
    const selector = new URLSearchParams(query).get('labelSelector') ?? ''
    const session = /postern\.dev\/session=(.+)$/.exec(selector)?.[1]
    const collection = path.slice(path.lastIndexOf('/') + 1)
    const items = [...objects]
      .filter(([key]) => key.split('/').at(-2) === collection)
      .map(([, object]) => object)
      .filter(
        ({ metadata }) =>
          session === undefined || metadata?.labels?.['postern.dev/session'] === session,
      )
    if (path === '/api/v1/namespaces') items.push({ metadata: { name: 'team' } })
    return ok({ metadata: { resourceVersion: '1' }, items })
  }

  return { answer }
}

/** All that the agent needs, and nothing that it must not have. */
function allowedTo(body: string): { allowed: boolean } {
  return { allowed: !/"verb":"(?:impersonate|escalate|bind)"/.test(body) }
}

function ok(body: object, status = 200): AgentAnswer {
  return { status, body }
}

function missing(): AgentAnswer {
  return { status: 404, body: { kind: 'Status', message: 'not found' } }
}

type Body = Stored & { stringData?: Record<string, string>; data?: Record<string, string> }

function parsed(body: string): Body {
  const value: Body = JSON.parse(body)
  return value
}

function encoded(texts: Record<string, string> = {}): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [name, Buffer.from(text).toString('base64')]),
  )
}
