import type { DescField, DescMessage, JsonObject, JsonValue } from '@bufbuild/protobuf'
import { rejections } from '@postern/errors'

const rejected = rejections({
  UNKNOWN_PARAMETER: ['invalid_argument', 'the query has a parameter that this call does not know'],
  REPEATED_PARAMETER: ['invalid_argument', 'the query has a parameter twice'],
  INVALID_PARAMETER: ['invalid_argument', 'the query has a parameter with an impossible value'],
})

/**
 * A query as the JSON of its request message, by proto or JSON name. Values stay text where proto3 JSON
 * takes text; whether they fit is for the message's own parser to say.
 *
 * @throws Rejection for names that the message lacks
 */
export function queryToJson(query: URLSearchParams, message: DescMessage): JsonObject {
  const json: Record<string, JsonValue> = {}
  for (const name of new Set(query.keys())) {
    const field = message.fields.find((one) => one.name === name || one.jsonName === name)
    if (field === undefined) throw rejected('UNKNOWN_PARAMETER', { parameter: name.slice(0, 100) })
    const values = query.getAll(name)
    if (field.fieldKind === 'list') {
      json[field.jsonName] = values
      continue
    }
    const [value] = values
    if (values.length > 1 || field.jsonName in json || value === undefined) {
      throw rejected('REPEATED_PARAMETER', { parameter: name })
    }
    json[field.jsonName] = toJson(field, value)
  }
  return json
}

const SCALAR_BOOL = 8

function toJson(field: DescField, value: string): JsonValue {
  if (field.fieldKind === 'scalar' && field.scalar === SCALAR_BOOL) {
    if (value !== 'true' && value !== 'false') {
      throw rejected('INVALID_PARAMETER', { parameter: field.name, expected: 'true or false' })
    }
    return value === 'true'
  }
  return value
}
