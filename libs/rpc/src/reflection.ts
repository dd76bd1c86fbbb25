import { fileDescriptorSet } from '@postern/proto/descriptors'
import type { CallContext, Server } from 'nice-grpc'

const asItIs = (bytes: Buffer): Buffer => bytes

/**
 * grpc.reflection.v1, for people with a gRPC tool. Messages go through as bytes, so that what
 * understands them is loaded when somebody asks: it costs several MiB, and mostly nobody does.
 */
export const reflectionDefinition = {
  serverReflectionInfo: {
    path: '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    requestStream: true,
    responseStream: true,
    requestSerialize: asItIs,
    requestDeserialize: asItIs,
    responseSerialize: asItIs,
    responseDeserialize: asItIs,
  },
} as const satisfies Parameters<Server['add']>[0]

export function createReflection(serviceNames: readonly string[]) {
  let loading: ReturnType<typeof load> | undefined
  return {
    async *serverReflectionInfo(requests: AsyncIterable<Buffer>, context: CallContext) {
      loading ??= load([...serviceNames])
      const { service, codec } = await loading
      for await (const response of service.serverReflectionInfo(decoded(requests), context)) {
        yield codec.responseSerialize(response)
      }

      async function* decoded(encoded: AsyncIterable<Buffer>) {
        for await (const bytes of encoded) yield codec.requestDeserialize(bytes)
      }
    },
  }
}

async function load(serviceNames: string[]) {
  const { ServerReflection, ServerReflectionService } = await import('nice-grpc-server-reflection')
  return {
    service: ServerReflection(fileDescriptorSet, serviceNames),
    codec: ServerReflectionService.serverReflectionInfo,
  }
}
