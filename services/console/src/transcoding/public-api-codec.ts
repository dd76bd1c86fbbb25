import { fileDescriptorSet } from '@postern/proto/descriptors'
import { type Api, readRoutes } from './http-rule.ts'

/** The public API as the proto files of this release describe it. */
export function readPublicApi(): Api {
  return readRoutes(fileDescriptorSet)
}
