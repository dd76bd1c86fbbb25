import {
  create,
  type DescMethod,
  type DescService,
  fromBinary,
  isMessage,
  type Message,
  toBinary,
} from '@bufbuild/protobuf'
import type { CallSettings, RpcClients, ServiceName } from '@postern/rpc'

/** Calls one RPC with a message and answers with one. */
export type CallMethod = (request: Message, settings: CallSettings) => Promise<Message>

/** By the second word of their proto packages. */
const SERVICES: Readonly<Record<string, ServiceName>> = {
  identity: 'identity',
  policy: 'policy',
  session: 'session',
  tunnelbroker: 'tunnel-broker',
  audit: 'audit',
}

/** A client of an RPC that is known by its descriptor alone. */
export function createMethodClient(
  clients: RpcClients,
  service: ServiceName,
  method: DescMethod,
): CallMethod {
  const definition = { [method.localName]: toDefinition(method) }
  const client: Record<string, unknown> = clients.of(definition, service)
  return async (request, settings) => {
    const call = client[method.localName]
    if (typeof call !== 'function') throw new Error(`no client for ${method.name}`)
    const response: unknown = await Reflect.apply(call, client, [request, settings])
    if (!isMessage(response)) throw new Error(`${method.name} answered with something else`)
    return response
  }
}

/** The services that own an event log. */
export const LOG_OWNERS: readonly ServiceName[] = Object.values(SERVICES)

/** "postern.tunnelbroker.v1.ClusterService" is served by tunnel-broker. */
export function serviceOf({ typeName }: DescService): ServiceName {
  const service = SERVICES[typeName.split('.')[1] ?? '']
  if (service === undefined) throw new Error(`no service serves ${typeName}`)
  return service
}

function toDefinition(method: DescMethod) {
  const encode = (message: Message) => toBinary(method.input, message)
  const decode = (bytes: Uint8Array) => fromBinary(method.output, bytes)
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: false,
    responseStream: false,
    requestSerialize: encode,
    requestDeserialize: (bytes: Uint8Array) => fromBinary(method.input, bytes),
    responseSerialize: (message: Message) => toBinary(method.output, message),
    responseDeserialize: decode,
    defaultRequestPartial: create(method.input),
    options: {},
  } as const
}
