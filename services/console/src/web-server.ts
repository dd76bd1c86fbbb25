import { readFile } from 'node:fs/promises'
import helmet from '@fastify/helmet'
import rateLimit from '@fastify/rate-limit'
import type { RpcClients } from '@postern/rpc'
import type { Log } from '@postern/telemetry'
import fastify from 'fastify'
import { bearerToken } from './bearer-token.ts'
import { toOpenApi } from './openapi/openapi.ts'
import { toProblem } from './problem.ts'
import { addApiRoutes } from './transcoding/api-routes.ts'
import type { Api } from './transcoding/http-rule.ts'

const BODY_BYTES_MAX = 1024 * 1024
const URL_CHARACTERS_MAX = 1024
const REQUEST_MS_MAX = 30_000
const SERVER_FAULT = 500
/** For each client address. Passwords have a limit of their own in identity. */
const REQUESTS_PER_MINUTE_MAX = 1200

export type WebServer = {
  /** Answers the URL as it really listens. */
  listen(options: { host: string; port: number }): Promise<string>
  close(): Promise<void>
}

/** The public API: HTTPS, JSON, nothing kept. */
export async function createWebServer(needs: {
  certFile: string
  keyFile: string
  api: Api
  clients: RpcClients
  kubeconfig: (userToken: string, clusterName: string | undefined) => Promise<string>
  log: Log
}): Promise<WebServer> {
  const { api, clients, kubeconfig, log } = needs
  const [cert, key] = await Promise.all([readFile(needs.certFile), readFile(needs.keyFile)])
  const server = fastify({
    https: { cert, key, minVersion: 'TLSv1.2' },
    bodyLimit: BODY_BYTES_MAX,
    routerOptions: { maxParamLength: URL_CHARACTERS_MAX },
    requestTimeout: REQUEST_MS_MAX,
    return503OnClosing: true,
    logger: false,
  })
  await server.register(helmet)
  await server.register(rateLimit, { max: REQUESTS_PER_MINUTE_MAX, timeWindow: '1 minute' })

  server.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error)
    if (problem.status >= SERVER_FAULT) {
      log.error({ err: error, route: request.routeOptions.url }, 'request failed')
    }
    return reply.status(problem.status).type('application/problem+json').send(problem)
  })
  server.setNotFoundHandler((_request, reply) => {
    const detail = 'there is no such call; /openapi.json lists those there are'
    const problem = { type: 'about:blank', status: 404, title: 'Not Found', detail }
    return reply.status(404).type('application/problem+json').send(problem)
  })

  const openApi = toOpenApi(api.routes)
  server.get('/openapi.json', () => openApi)
  server.get<{ Querystring: { cluster?: string } }>('/v1/kubeconfig', async (request, reply) => {
    const { cluster } = request.query
    const file = await kubeconfig(bearerToken(request), cluster)
    void reply.header('cache-control', 'no-store')
    void reply.header('content-disposition', 'attachment; filename="postern.kubeconfig"')
    void reply.type('application/yaml')
    return file
  })
  addApiRoutes(server, { api, clients })
  return {
    listen: async (options) => await server.listen(options),
    close: async () => await server.close(),
  }
}
