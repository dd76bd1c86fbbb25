import { readFile } from 'node:fs/promises'
import { parseHostPort } from '@postern/lifecycle'
import { fileDescriptorSet } from '@postern/proto/descriptors'
import { defineService } from '@postern/service'
import type { z } from 'zod'
import { settings } from './config.ts'
import { createKubeconfigs } from './kubeconfig/kubeconfig-client.ts'
import { readRoutes } from './transcoding/http-rule.ts'
import { createWebServer } from './web-server.ts'

export const consoleService = defineService<z.output<typeof settings>, never, never>({
  name: 'console',
  settings,

  async compose({ config, clients, log }) {
    const { gatewayCaFile, gatewayAddressing: addressing, organization } = config
    const ca = gatewayCaFile === undefined ? undefined : await readFile(gatewayCaFile, 'utf8')
    const gateway = { url: new URL(config.gatewayUrl), addressing, ca }
    const server = await createWebServer({
      certFile: config.tlsCertFile,
      keyFile: config.tlsKeyFile,
      api: readRoutes(fileDescriptorSet),
      clients,
      kubeconfig: createKubeconfigs({ clients, gateway, organization }),
      log,
    })
    return {
      rpc: [],
      async start() {
        const url = await server.listen(parseHostPort(config.publicListen))
        log.info({ url }, 'the public API listens')
      },
      stop: () => server.close(),
    }
  },
})
