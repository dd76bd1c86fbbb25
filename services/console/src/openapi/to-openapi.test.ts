import { expect, test } from 'vitest'
import { readPublicApi } from '../transcoding/public-api-codec.ts'
import { toOpenApi } from './to-openapi.ts'

type Json = { readonly [key: string]: unknown }

const api = readPublicApi()
// As it goes out: what JSON leaves out is not there.
const described: Json = JSON.parse(JSON.stringify(toOpenApi(api)))
const operations = Object.entries(at('paths')).flatMap(([path, item]) =>
  Object.entries(item as Json).map(([verb, operation]) => ({
    path,
    verb,
    operation: operation as Json,
  })),
)

function at(...keys: string[]): Json {
  return keys.reduce((found, key) => found[key] as Json, described)
}

/** Every object in the document, with where it is. */
function* objectsIn(value: unknown, where = '#'): Generator<[string, Json]> {
  if (typeof value !== 'object' || value === null) return
  if (!Array.isArray(value)) yield [where, value as Json]
  for (const [key, inner] of Object.entries(value)) yield* objectsIn(inner, `${where}/${key}`)
}

test('it is an OpenAPI 3.1 document (OpenAPI 3.1.0, section 4.8)', () => {
  expect(described['openapi']).toMatch(/^3\.1\.\d+$/)
  expect(at('info')).toMatchObject({ title: expect.any(String), version: expect.any(String) })
  expect(at('components', 'securitySchemes', 'bearer')).toEqual({ type: 'http', scheme: 'bearer' })
  for (const { path, verb, operation } of operations) {
    expect(path).toMatch(/^\//)
    expect(['get', 'put', 'post', 'delete', 'patch']).toContain(verb)
    expect(Object.keys(operation['responses'] as Json)).toContain('200')
    // GET and DELETE have no body with a meaning (RFC 9110, 9.3).
    expect([verb, 'requestBody' in operation]).toEqual([verb, verb === 'post' || verb === 'put'])
  }
  const ids = operations.map(({ operation }) => operation['operationId'])
  expect(new Set(ids).size).toBe(ids.length)
})

test('every route is described, and nothing that there is not', () => {
  const wanted = [
    ...api.routes.map(({ verb, template }) => `${verb.toLowerCase()} ${template}`),
    'get /v1/kubeconfig',
    'post /v1/logs/{service}/rebuild',
  ]
  expect(operations.map(({ verb, path }) => `${verb} ${path}`).toSorted()).toEqual(
    wanted.toSorted(),
  )
})

test('every place in a path is a required parameter, and every parameter is there once', () => {
  for (const { path, operation } of operations) {
    const parameters = (operation['parameters'] ?? []) as Json[]
    const places = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    const inPath = parameters.filter((parameter) => parameter['in'] === 'path')
    expect(inPath.map(({ name }) => name)).toEqual(places)
    expect(inPath.every(({ required }) => required === true)).toBe(true)
    const keys = parameters.map(
      (parameter) => `${String(parameter['in'])} ${String(parameter['name'])}`,
    )
    expect(new Set(keys).size).toBe(keys.length)
    expect(parameters.every(({ schema }) => typeof schema === 'object')).toBe(true)
  }
})

test('every reference leads somewhere, and every type is one of JSON Schema', () => {
  const known = Object.keys(at('components', 'schemas'))
  const objects = [...objectsIn(described)].map(([, object]) => object)
  const references = objects
    .map((object) => object['$ref'])
    .filter((one) => typeof one === 'string')
  expect(references.length).toBeGreaterThan(50)
  for (const reference of references) {
    expect(known).toContain(reference.replace('#/components/schemas/', ''))
  }
  const types = new Set(objects.map(({ type }) => type).filter((one) => typeof one === 'string'))
  types.delete('http')
  expect([...types].toSorted()).toEqual(['array', 'boolean', 'integer', 'object', 'string'])
})

test('what the proto files say of a call stands beside it', () => {
  for (const { operation } of operations) {
    expect(operation).toMatchObject({ description: expect.stringMatching(/\.$/) })
  }
  expect(at('paths', '/v1/sessions/{session_id}', 'delete')).toMatchObject({
    description: expect.stringContaining('Ending an ended session succeeds'),
  })
  expect(
    at('components', 'schemas', 'postern.session.v1.Session', 'properties', 'problem'),
  ).toEqual({
    type: 'string',
    description: "The agent's last complaint, if the account could not be made.",
  })
})
