import type { DescEnum, DescField, DescMessage } from '@bufbuild/protobuf'
import type { Api, HttpRoute } from '../transcoding/http-rule.ts'
import { ownOperations } from './own-operations.ts'
import { commentOf } from './proto-comment.ts'

type Schema = Record<string, unknown>

/** Types of proto that have a JSON form of their own (proto3 JSON mapping). */
const WELL_KNOWN: Readonly<Record<string, Schema>> = {
  'google.protobuf.Timestamp': { type: 'string', format: 'date-time' },
  'google.protobuf.Duration': { type: 'string', pattern: '^-?[0-9]+(\\.[0-9]{1,9})?s$' },
}

const LONG = new Set([3, 4, 6, 16, 18])
const INTEGER = new Set([5, 7, 13, 15, 17])
const FLOAT = new Set([1, 2])
const BOOL = 8
const BYTES = 12

/** OpenAPI 3.1 of the API, from the same descriptors that serve it: there is no second model. */
export function toOpenApi(api: Api): Record<string, unknown> {
  const schemas = new Map<string, Schema>()
  const toReference = (message: DescMessage) => reference(message, schemas)
  const paths: Record<string, Record<string, unknown>> = ownOperations(api, {
    toReference,
    failed: FAILED,
  })
  for (const route of api.routes) {
    const operation = { [route.verb.toLowerCase()]: toOperation(route, schemas) }
    paths[route.template] = { ...paths[route.template], ...operation }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Postern', version: 'v1', license: { name: 'Apache-2.0' } },
    security: [{ bearer: [] }],
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: { ...Object.fromEntries(schemas), Problem: PROBLEM },
    },
  }
}

const PROBLEM: Schema = {
  type: 'object',
  required: ['type', 'status', 'title', 'detail'],
  description: 'RFC 9457 problem details.',
  properties: {
    type: { type: 'string' },
    status: { type: 'integer' },
    title: { type: 'string' },
    detail: { type: 'string' },
    reason: { type: 'string', description: 'The rule that said no, for programs.' },
    details: { type: 'object' },
    traceId: { type: 'string' },
  },
}

const FAILED: Schema = {
  description: 'What went wrong',
  content: {
    'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
  },
}

function toOperation(route: HttpRoute, schemas: Map<string, Schema>): Schema {
  const { input, output, name, parent } = route.method
  const inPath = new Set(route.pathFields.values())
  const rest = input.fields.filter(({ jsonName }) => !inPath.has(jsonName))
  const parameters = [
    ...input.fields
      .filter(({ jsonName }) => inPath.has(jsonName))
      .map((field) => ({
        name: field.name,
        in: 'path',
        required: true,
        ...described(field),
        schema: toSchema(field, schemas),
      })),
    ...(route.hasBody ? [] : rest).map((field) => ({
      name: field.jsonName,
      in: 'query',
      ...described(field),
      schema: toSchema(field, schemas),
    })),
  ]
  const json = (schema: Schema) => ({ 'application/json': { schema } })
  return {
    operationId: `${parent.name}_${name}`,
    tags: [parent.name],
    description: commentOf(route.method),
    ...(route.isSignedOut ? { security: [] } : {}),
    parameters,
    ...(route.hasBody
      ? { requestBody: { required: true, content: json(toObject(rest, schemas)) } }
      : {}),
    responses: {
      '200': { description: 'OK', content: json(reference(output, schemas)) },
      default: FAILED,
    },
  }
}

function toObject(fields: readonly DescField[], schemas: Map<string, Schema>): Schema {
  // A reference with a description beside it is one since OpenAPI 3.1.
  const properties = fields.map((field) => [
    field.jsonName,
    { ...toSchema(field, schemas), ...described(field) },
  ])
  return { type: 'object', properties: Object.fromEntries(properties), additionalProperties: false }
}

function described(field: DescField): Schema {
  const description = commentOf(field)
  return description === '' ? {} : { description }
}

function toSchema(field: DescField, schemas: Map<string, Schema>): Schema {
  switch (field.fieldKind) {
    case 'scalar':
      return scalar(field.scalar)
    case 'enum':
      return enumeration(field.enum)
    case 'message':
      return reference(field.message, schemas)
    case 'list':
      return { type: 'array', items: itemSchema(field, schemas) }
    case 'map':
      return { type: 'object', additionalProperties: itemSchema(field, schemas) }
  }
}

function itemSchema(
  field: DescField & { fieldKind: 'list' | 'map' },
  schemas: Map<string, Schema>,
): Schema {
  const kind = field.fieldKind === 'list' ? field.listKind : field.mapKind
  if (kind === 'scalar' && field.scalar !== undefined) return scalar(field.scalar)
  if (kind === 'enum' && field.enum !== undefined) return enumeration(field.enum)
  if (field.message !== undefined) return reference(field.message, schemas)
  throw new Error(`${field.name} has no known kind`)
}

function scalar(type: number): Schema {
  if (type === BOOL) return { type: 'boolean' }
  if (type === BYTES) return { type: 'string', contentEncoding: 'base64' }
  if (LONG.has(type)) return { type: 'string', pattern: '^-?[0-9]+$' }
  if (INTEGER.has(type)) return { type: 'integer' }
  if (FLOAT.has(type)) return { type: 'number' }
  return { type: 'string' }
}

function enumeration({ values }: DescEnum): Schema {
  return { type: 'string', enum: values.map(({ name }) => name) }
}

/** Each message once, under its proto name. */
function reference(message: DescMessage, schemas: Map<string, Schema>): Schema {
  const known = WELL_KNOWN[message.typeName]
  if (known !== undefined) return known
  if (!schemas.has(message.typeName)) {
    // A placeholder first: messages may contain themselves.
    schemas.set(message.typeName, {})
    const description = commentOf(message)
    const object = toObject(message.fields, schemas)
    schemas.set(message.typeName, description === '' ? object : { ...object, description })
  }
  return { $ref: `#/components/schemas/${message.typeName}` }
}
