import { readFile } from 'node:fs/promises'
import { parseHostPort } from '@postern/lifecycle'
import type { Composed, Runtime } from '@postern/service'
import type { ConsoleConfig } from './config.ts'
import { createKubeconfigs } from './kubeconfig/kubeconfig-client.ts'
import { consoleSignals } from './signals.ts'
import { readPublicApi } from './transcoding/public-api-codec.ts'
import { createWebServer } from './web-server.ts'

type ConsoleRuntime = Runtime<ConsoleConfig, never, never>

export async function composeConsole({
  config,
  clients,
  log,
  metrics,
}: ConsoleRuntime): Promise<Composed> {
  const { gatewayCaFile, gatewayAddressing: addressing, organization } = config
  const url = new URL(config.gatewayUrl)
  const gateway = async () => ({ url, addressing, ca: await readOptional(gatewayCaFile) })
  // A file that cannot be read is found out now, not at the first download.
  await gateway()
  const server = await createWebServer({
    tls: { certFile: config.tlsCertFile, keyFile: config.tlsKeyFile },
    api: readPublicApi(),
    clients,
    kubeconfig: createKubeconfigs({ clients, gateway, organization }),
    requestsPerMinuteMax: config.requestsPerMinute,
    signals: consoleSignals(metrics),
    log,
  })
  return {
    rpc: [],
    async start() {
      const address = await server.listen(parseHostPort(config.publicListen))
      log.info({ url: address }, 'the public API listens')
    },
    stop: () => server.close(),
  }
}

async function readOptional(file: string | undefined): Promise<string | undefined> {
  return file === undefined ? undefined : await readFile(file, 'utf8')
}
