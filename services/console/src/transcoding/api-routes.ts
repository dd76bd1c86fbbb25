import { type JsonObject, toJson } from '@bufbuild/protobuf'
import { rejections } from '@postern/errors'
import type { RpcClients } from '@postern/rpc'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { bearerToken } from '../bearer-token.ts'
import type { Api, HttpRoute } from './http-rule.ts'
import { createMethodClient, serviceOf } from './method-client.ts'
import { queryToJson } from './query.ts'
import { bodyOf, readMessage } from './request-json.ts'

const rejected = rejections({
  FIELD_TWICE: ['invalid_argument', 'a field stands in the path and in the body or query'],
})

/** Serves every RPC that has an HTTP route, as JSON in both directions (proto3 JSON mapping). */
export function addApiRoutes(
  server: FastifyInstance,
  { api, clients }: { api: Api; clients: RpcClients },
): void {
  for (const route of api.routes) {
    const { input, output, parent } = route.method
    const call = createMethodClient(clients, serviceOf(parent), route.method)
    server.route({
      method: route.verb,
      url: route.template.replaceAll(/\{([a-z0-9_]+)\}/g, ':$1'),
      handler: async (request) => {
        const settings = route.isSignedOut ? {} : { userToken: bearerToken(request) }
        const message = readMessage(jsonOf(route, request), input, api)
        return toJson(output, await call(message, settings), {
          registry: api.registry,
          alwaysEmitImplicit: true,
        })
      },
    })
  }
}

/** The request message's JSON, from the path, and from the body or the query. */
function jsonOf(route: HttpRoute, request: FastifyRequest): JsonObject {
  const search = request.url.includes('?') ? request.url.slice(request.url.indexOf('?') + 1) : ''
  const query = queryToJson(new URLSearchParams(search), route.method.input)
  const json: JsonObject = { ...query, ...(route.hasBody ? bodyOf(request) : {}) }
  const parameters = new Map(Object.entries(request.params ?? {}))
  for (const [name, jsonName] of route.pathFields) {
    if (Object.hasOwn(json, jsonName) || Object.hasOwn(json, name)) {
      throw rejected('FIELD_TWICE', { field: name })
    }
    json[jsonName] = String(parameters.get(name))
  }
  return json
}
