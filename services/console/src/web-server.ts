import type { Socket } from 'node:net'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import type { RpcClients } from '@postern/rpc'
import type { Log } from '@postern/telemetry'
import fastify, { type FastifyReply } from 'fastify'
import type { createKubeconfigs } from './kubeconfig/kubeconfig-client.ts'
import { addKubeconfigRoute } from './kubeconfig/kubeconfig-route.ts'
import { toOpenApi } from './openapi/to-openapi.ts'
import { type Problem, problemOf, toProblem } from './problem.ts'
import { addRebuildRoute } from './rebuild/rebuild-route.ts'
import { traceRequests } from './request-trace.ts'
import type { ConsoleSignals } from './signals.ts'
import { readTlsPair, type TlsFiles, watchTlsPair } from './tls-files.ts'
import { addApiRoutes } from './transcoding/api-routes.ts'
import type { Api } from './transcoding/http-rule.ts'

const BODY_BYTES_MAX = 1024 * 1024
const PARAMETER_CHARACTERS_MAX = 1024
const REQUEST_MS_MAX = 30_000
const CONNECTIONS_MAX = 4096
const SERVER_FAULT = 500

export type WebServer = {
  /** Answers the URL as it really listens. */
  listen(options: { host: string; port: number }): Promise<string>
  /** Takes no more requests, answers those under way, and closes. */
  close(): Promise<void>
}

/** The public API: HTTPS, JSON, nothing kept. */
export async function createWebServer(needs: {
  tls: TlsFiles
  api: Api
  clients: RpcClients
  kubeconfig: ReturnType<typeof createKubeconfigs>
  /** For each client address. Passwords have a limit of their own in identity. */
  requestsPerMinuteMax: number
  signals: ConsoleSignals
  log: Log
}): Promise<WebServer> {
  const { api, clients, kubeconfig, log } = needs
  const server = fastify({
    https: { ...(await readTlsPair(needs.tls)), minVersion: 'TLSv1.2' },
    bodyLimit: BODY_BYTES_MAX,
    routerOptions: { maxParamLength: PARAMETER_CHARACTERS_MAX },
    requestTimeout: REQUEST_MS_MAX,
    // A HEAD of a kubeconfig would issue a token for nothing.
    exposeHeadRoutes: false,
    // Below, in the form of every other answer.
    return503OnClosing: false,
    clientErrorHandler: (_error, socket) => refuse(socket),
    // A path that the router itself refuses: its own answer would repeat it.
    frameworkErrors: (error, _request, reply) => void answer(reply, toProblem(error)),
    logger: false,
  })
  server.server.maxConnections = CONNECTIONS_MAX
  // text/plain would be parsed too: a form of another site can send that without asking.
  server.removeContentTypeParser('text/plain')

  traceRequests(server, needs.signals)
  let isClosing = false
  // What a call answers is for its caller alone, and may be a secret that is shown once.
  server.addHook('onRequest', async (_request, reply) => {
    void reply.header('cache-control', 'no-store')
    if (isClosing) await answer(reply, problemOf(503, 'Postern is stopping here; try again'))
  })
  server.addHook('onSend', async (_request, reply) => {
    // A connection that is kept would hold up the end.
    if (isClosing) void reply.header('connection', 'close')
  })
  await server.register(helmet)
  await server.register(rateLimit, { max: needs.requestsPerMinuteMax, timeWindow: '1 minute' })

  server.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error)
    if (problem.status >= SERVER_FAULT) {
      log.error({ err: error, route: request.routeOptions.url }, 'request failed')
    }
    return answer(reply, problem)
  })
  const unknown = problemOf(404, 'there is no such call; /openapi.json lists those there are')
  server.setNotFoundHandler({ preHandler: server.rateLimit() }, (_request, reply) =>
    answer(reply, unknown),
  )

  const openApi = toOpenApi(api)
  server.get('/openapi.json', () => openApi)
  addKubeconfigRoute(server, { kubeconfig })
  addRebuildRoute(server, { api, clients })
  addApiRoutes(server, { api, clients })

  const stopWatching = watchTlsPair(needs.tls, {
    onChange: (pair) => server.server.setSecureContext({ ...pair, minVersion: 'TLSv1.2' }),
    log,
  })
  return {
    listen: async (options) => await server.listen(options),
    async close() {
      isClosing = true
      stopWatching()
      await server.close()
    },
  }
}

function answer(reply: FastifyReply, problem: Problem): FastifyReply {
  // RFC 9110 section 11.6.1: a 401 says how to authenticate.
  if (problem.status === 401) void reply.header('www-authenticate', 'Bearer')
  return reply.status(problem.status).type('application/problem+json').send(problem)
}

/** What is not even HTTP. */
function refuse(socket: Socket): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const body = JSON.stringify(problemOf(400, 'the request is not HTTP that this server reads'))
  socket.end(
    [
      'HTTP/1.1 400 Bad Request',
      'Content-Type: application/problem+json',
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Cache-Control: no-store',
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  )
}
