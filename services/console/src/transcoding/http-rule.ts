import {
  createFileRegistry,
  type DescMessage,
  type DescMethod,
  type FileRegistry,
  fromBinary,
  getOption,
  hasOption,
} from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'

/** One RPC as an HTTP route, as its `google.api.http` option says (google/api/http.proto). */
export type HttpRoute = {
  readonly verb: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'PATCH'
  /** "/v1/users/{user}". */
  readonly template: string
  /** JSON names of the fields that stand in the path, by their name in the template. */
  readonly pathFields: ReadonlyMap<string, string>
  /** Whether the body is the rest of the request; otherwise the query is. */
  readonly hasBody: boolean
  readonly method: DescMethod
  /** Called without a user token: set-up and login. */
  readonly isSignedOut: boolean
}

const VERBS = ['get', 'put', 'post', 'delete', 'patch'] as const
const HTTP_OPTION = 'google.api.http'
const ACCESS_OPTION = 'postern.options.v1.access'

export type Api = { readonly routes: readonly HttpRoute[]; readonly registry: FileRegistry }

/** Every RPC that has an HTTP route, from the encoded descriptors. @throws Error for a bad option */
export function readRoutes(descriptors: Uint8Array): Api {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptors))
  const routes: HttpRoute[] = []
  for (const type of registry) {
    if (type.kind !== 'service' || !type.typeName.startsWith('postern.')) continue
    for (const method of type.methods) {
      const route = toRoute(registry, method)
      if (route !== undefined) routes.push(route)
    }
  }
  return { routes, registry }
}

function toRoute(registry: FileRegistry, method: DescMethod): HttpRoute | undefined {
  const rule = optionOf(registry, method, HTTP_OPTION)
  if (rule === undefined) return undefined
  const verb = VERBS.find((name) => rule[name] !== undefined)
  const template = verb === undefined ? undefined : rule[verb]
  if (verb === undefined || typeof template !== 'string') {
    throw new Error(`${method.parent.typeName}.${method.name} has an HTTP option without a path`)
  }
  const body = rule['body']
  if (body !== undefined && body !== '' && body !== '*') {
    throw new Error(`${method.name}: the body of an HTTP option is "*" or nothing`)
  }
  const access = optionOf(registry, method, ACCESS_OPTION)
  return {
    verb: toVerb(verb),
    template,
    pathFields: pathFieldsOf(template, method.input),
    hasBody: body === '*',
    method,
    isSignedOut: access?.['signedOut'] === true,
  }
}

const UPPER = { get: 'GET', put: 'PUT', post: 'POST', delete: 'DELETE', patch: 'PATCH' } as const

function toVerb(verb: (typeof VERBS)[number]): HttpRoute['verb'] {
  return UPPER[verb]
}

function pathFieldsOf(template: string, input: DescMessage): Map<string, string> {
  const fields = new Map<string, string>()
  for (const [, name] of template.matchAll(/\{([a-z0-9_]+)\}/g)) {
    const field = input.fields.find((one) => one.name === name)
    if (name === undefined || field?.fieldKind !== 'scalar') {
      throw new Error(`${template}: ${input.typeName} has no such field`)
    }
    fields.set(name, field.jsonName)
  }
  return fields
}

/** An option's message as plain JSON-like fields; a oneof's case stands under its own name. */
function optionOf(
  registry: FileRegistry,
  method: DescMethod,
  name: string,
): Record<string, unknown> | undefined {
  const extension = registry.getExtension(name)
  if (extension === undefined) throw new Error(`the descriptors lack ${name}`)
  if (!hasOption(method, extension)) return undefined
  const value: unknown = getOption(method, extension)
  if (typeof value !== 'object' || value === null) return undefined
  const fields: Record<string, unknown> = { ...value }
  const { pattern } = fields
  if (isCase(pattern)) fields[pattern.case] = pattern.value
  return fields
}

function isCase(value: unknown): value is { case: string; value: unknown } {
  return typeof value === 'object' && value !== null && 'case' in value && 'value' in value
    ? typeof value.case === 'string'
    : false
}
