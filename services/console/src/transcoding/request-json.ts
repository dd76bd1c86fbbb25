import { type DescMessage, fromJson, type JsonObject, type Message } from '@bufbuild/protobuf'
import { rejections } from '@postern/errors'
import type { FastifyRequest } from 'fastify'
import type { Api } from './http-rule.ts'

const rejected = rejections({
  INVALID_REQUEST: ['invalid_argument', 'the request does not have the form of this call'],
  BODY_NOT_OBJECT: ['invalid_argument', 'the body is not a JSON object'],
})

const PROBLEM_CHARACTERS_MAX = 300

/** A request's JSON as its message: nothing unknown, nothing of another type. @throws Rejection */
export function readMessage(json: JsonObject, input: DescMessage, { registry }: Api): Message {
  try {
    return fromJson(input, json, { registry })
  } catch (error) {
    const problem = error instanceof Error ? error.message.slice(0, PROBLEM_CHARACTERS_MAX) : ''
    throw rejected('INVALID_REQUEST', { problem })
  }
}

/** The body's JSON object; an empty one where there is no body. @throws Rejection */
export function bodyOf({ body }: FastifyRequest): JsonObject {
  if (body === undefined || body === null) return {}
  if (!isJsonObject(body)) throw rejected('BODY_NOT_OBJECT')
  return body
}

/** The body was parsed from JSON, so its values are. */
function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
