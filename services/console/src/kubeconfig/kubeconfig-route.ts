import { rejections } from '@postern/errors'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { bearerToken } from '../bearer-token.ts'
import type { createKubeconfigs } from './kubeconfig-client.ts'

const rejected = rejections({
  INVALID_QUERY: ['invalid_argument', 'the query takes "cluster", a name, once and nothing else'],
})

const NAME_CHARACTERS_MAX = 253

/** `GET /v1/kubeconfig[?cluster=name]`: a file, not JSON, so that no RPC is transcoded. */
export function addKubeconfigRoute(
  server: FastifyInstance,
  { kubeconfig }: { kubeconfig: ReturnType<typeof createKubeconfigs> },
): void {
  server.get('/v1/kubeconfig', async (request, reply) => {
    const file = await kubeconfig(bearerToken(request), wantedCluster(request))
    void reply.header('content-disposition', 'attachment; filename="postern.kubeconfig"')
    void reply.type('application/yaml')
    return file
  })
}

/** `undefined`: all that the user may use. @throws Rejection */
function wantedCluster({ url }: FastifyRequest): string | undefined {
  const query = new URLSearchParams(url.includes('?') ? url.slice(url.indexOf('?') + 1) : '')
  const [[name, value] = [], ...more] = query
  if (name === undefined) return undefined
  if (name !== 'cluster' || more.length > 0 || value === undefined || value === '') {
    throw rejected('INVALID_QUERY')
  }
  if (value.length > NAME_CHARACTERS_MAX) throw rejected('INVALID_QUERY')
  return value
}
