import { type DescMethod, toJson } from '@bufbuild/protobuf'
import { rejections } from '@postern/errors'
import type { RpcClients } from '@postern/rpc'
import type { FastifyInstance } from 'fastify'
import { bearerToken } from '../bearer-token.ts'
import type { Api } from '../transcoding/http-rule.ts'
import { createMethodClient, LOG_OWNERS } from '../transcoding/method-client.ts'
import { bodyOf, readMessage } from '../transcoding/request-json.ts'

const rejected = rejections({
  LOG_NOT_FOUND: ['not_found', 'no service of this name owns an event log'],
})

const EVENT_LOG_SERVICE = 'postern.eventlog.v1.EventLogService'
/** A whole log is folded: the service itself gives up sooner. */
const REBUILD_MS_MAX = 16 * 60_000

/**
 * Every owner of an event log serves the same RPC, so that the path says whose is meant:
 * `POST /v1/logs/{service}/rebuild`.
 */
export function addRebuildRoute(
  server: FastifyInstance,
  { api, clients }: { api: Api; clients: RpcClients },
): void {
  const method = rebuildMethod(api)
  const calls = new Map(
    LOG_OWNERS.map((service) => [String(service), createMethodClient(clients, service, method)]),
  )
  server.post<{ Params: { service: string } }>('/v1/logs/:service/rebuild', async (request) => {
    const userToken = bearerToken(request)
    const call = calls.get(request.params.service)
    if (call === undefined)
      throw rejected('LOG_NOT_FOUND', { services: [...calls.keys()].join(', ') })
    const message = readMessage(bodyOf(request), method.input, api)
    const response = await call(message, { userToken, deadlineMs: REBUILD_MS_MAX })
    return toJson(method.output, response, { alwaysEmitImplicit: true })
  })
}

/** @throws Error when the proto files lack it */
export function rebuildMethod({ registry }: Api): DescMethod {
  const method = registry.getService(EVENT_LOG_SERVICE)?.method['rebuild']
  if (method === undefined) throw new Error(`the descriptors lack Rebuild of ${EVENT_LOG_SERVICE}`)
  return method
}
