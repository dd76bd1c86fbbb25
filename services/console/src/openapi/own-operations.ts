import type { DescMessage } from '@bufbuild/protobuf'
import { rebuildMethod } from '../rebuild/rebuild-route.ts'
import type { Api } from '../transcoding/http-rule.ts'
import { LOG_OWNERS } from '../transcoding/method-client.ts'
import { commentOf } from './proto-comment.ts'

type Schema = Record<string, unknown>

/** The calls that are no transcoded RPC, by path. */
export function ownOperations(
  api: Api,
  needs: { toReference: (message: DescMessage) => Schema; failed: Schema },
): Record<string, Schema> {
  const rebuild = rebuildMethod(api)
  const json = (message: DescMessage) => ({
    content: { 'application/json': { schema: needs.toReference(message) } },
  })
  return {
    '/v1/kubeconfig': {
      get: {
        operationId: 'Kubeconfig_Download',
        tags: ['Kubeconfig'],
        description:
          'A kubeconfig with a token of its own, for one cluster or all that the caller may use.',
        parameters: [
          {
            name: 'cluster',
            in: 'query',
            description: 'Id or name; every cluster that the caller may use when left out.',
            schema: { type: 'string' },
          },
        ],
        responses: {
          '200': {
            description: 'OK',
            content: { 'application/yaml': { schema: { type: 'string' } } },
          },
          default: needs.failed,
        },
      },
    },
    '/v1/logs/{service}/rebuild': {
      post: {
        operationId: 'EventLogService_Rebuild',
        tags: ['EventLogService'],
        description: commentOf(rebuild),
        parameters: [
          {
            name: 'service',
            in: 'path',
            required: true,
            description: 'Whose log.',
            schema: { type: 'string', enum: [...LOG_OWNERS] },
          },
        ],
        requestBody: json(rebuild.input),
        responses: {
          '200': { description: 'OK', ...json(rebuild.output) },
          default: needs.failed,
        },
      },
    },
  }
}
