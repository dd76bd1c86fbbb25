import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Log, Metrics } from '@postern/telemetry'
import { withDeadline } from './closing-stack.ts'

/** Why something is not ready; `undefined` when it is. */
export type Readiness = () => Promise<string | undefined>

export type HealthServerNeeds = {
  /** "host:port"; port 0 takes a free one. */
  readonly listen: string
  /** By name; asked on each /readyz, with a deadline. */
  readonly ready: Readonly<Record<string, Readiness>>
  readonly metrics: Metrics
  readonly log: Log
}

export type HealthServer = {
  /** "host:port" as it really listens. */
  readonly address: string
  close(): Promise<void>
}

type Answer = { status: number; type: string; body: string }

const READY_MS_MAX = 2_000
const REQUEST_MS_MAX = 5_000

/**
 * GET /livez (the process answers), /readyz (200, or 503 with the reasons as JSON), /metrics (Prometheus).
 * Plain HTTP, for probes: nothing secret is ever served here.
 */
export async function createHealthServer(needs: HealthServerNeeds): Promise<HealthServer> {
  const { listen, log } = needs
  const server = createServer((request, response) => {
    respond(needs, request, response).catch((error: unknown) => {
      log.error({ err: error }, 'health request failed')
      response.destroy()
    })
  })
  server.requestTimeout = REQUEST_MS_MAX
  server.headersTimeout = REQUEST_MS_MAX
  server.maxConnections = 100
  server.unref()

  const { host, port } = parseHostPort(listen)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new Error(`listening on ${listen} for health checks`, { cause })),
    )
    server.listen(port, host, resolve)
  })
  return {
    address: `${hostText(host)}:${addressOf(server.address()).port}`,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

/** "host:port", "[::1]:port". @throws Error when it is neither */
export function parseHostPort(text: string): { host: string; port: number } {
  const [, bracketed, plain, port] =
    /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined || port === undefined || Number(port) > 65_535) {
    throw new Error(`not a "host:port": ${text}`)
  }
  return { host, port: Number(port) }
}

async function respond(
  needs: HealthServerNeeds,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const answer = await answerTo(needs, request)
  response.writeHead(answer.status, { 'content-type': answer.type, 'cache-control': 'no-store' })
  response.end(answer.body)
}

async function answerTo(needs: HealthServerNeeds, request: IncomingMessage): Promise<Answer> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'only GET\n')
  switch (request.url?.split('?')[0] ?? '') {
    case '/livez':
      return text(200, 'ok\n')
    case '/readyz':
      return await readiness(needs.ready)
    case '/metrics':
      return { status: 200, type: needs.metrics.contentType, body: await needs.metrics.metrics() }
    default:
      return text(404, 'try /livez, /readyz or /metrics\n')
  }
}

async function readiness(ready: HealthServerNeeds['ready']): Promise<Answer> {
  const asked = Object.entries(ready).map(
    async ([name, ask]) => [name, await reasonOf(ask)] as const,
  )
  const answers = await Promise.all(asked)
  const reasons = Object.fromEntries(answers.filter(([, reason]) => reason !== undefined))
  const isReady = Object.keys(reasons).length === 0
  return {
    status: isReady ? 200 : 503,
    type: 'application/json',
    body: `${JSON.stringify({ ready: isReady, reasons })}\n`,
  }
}

async function reasonOf(ask: Readiness): Promise<string | undefined> {
  try {
    return await withDeadline(ask, READY_MS_MAX)
  } catch {
    return 'could not be determined'
  }
}

function text(status: number, body: string): Answer {
  return { status, type: 'text/plain; charset=utf-8', body }
}

function addressOf(address: AddressInfo | string | null): AddressInfo {
  if (address === null || typeof address === 'string') throw new Error('not listening on TCP')
  return address
}

function hostText(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
