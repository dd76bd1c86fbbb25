import { fromJson, type JsonObject, toJson } from '@bufbuild/protobuf'
import { rejections } from '@postern/errors'
import type { RpcClients } from '@postern/rpc'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { bearerToken } from '../bearer-token.ts'
import type { Api, HttpRoute } from './http-rule.ts'
import { createMethodClient } from './method-client.ts'
import { queryToJson } from './query.ts'

const rejected = rejections({
  INVALID_REQUEST: ['invalid_argument', 'the request does not have the form of this call'],
  FIELD_TWICE: ['invalid_argument', 'a field stands in the path and in the body'],
  BODY_NOT_OBJECT: ['invalid_argument', 'the body is not a JSON object'],
})

const MESSAGE_CHARACTERS_MAX = 300

/** Serves every RPC that has an HTTP route, as JSON in both directions (proto3 JSON mapping). */
export function addApiRoutes(
  server: FastifyInstance,
  { api, clients }: { api: Api; clients: RpcClients },
): void {
  for (const route of api.routes) {
    const call = createMethodClient(clients, route.method)
    const { input, output } = route.method
    server.route({
      method: route.verb,
      url: route.template.replaceAll(/\{([a-z0-9_]+)\}/g, ':$1'),
      handler: async (request, reply) => {
        const userToken = route.isSignedOut ? undefined : bearerToken(request)
        const message = parse(() => fromJson(input, jsonOf(route, request), api))
        const settings = userToken === undefined ? {} : { userToken }
        const response = await call(message, settings)
        // What a call answers may be a secret that is shown once.
        void reply.header('cache-control', 'no-store')
        return toJson(output, response, { ...api, alwaysEmitImplicit: true })
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
    if (jsonName in json || name in json) throw rejected('FIELD_TWICE', { field: name })
    json[jsonName] = String(parameters.get(name))
  }
  return json
}

function bodyOf({ body }: FastifyRequest): JsonObject {
  if (body === undefined || body === null) return {}
  if (!isJsonObject(body)) throw rejected('BODY_NOT_OBJECT')
  return body
}

/** The body was parsed from JSON, so its values are. */
function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function parse<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    const problem = error instanceof Error ? error.message.slice(0, MESSAGE_CHARACTERS_MAX) : ''
    throw rejected('INVALID_REQUEST', { problem })
  }
}
