import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  AGENT_IMAGE,
  type ApiClient,
  buildDemoCluster,
  bundleParts,
  createKubectl,
  joinCluster,
  type Kubectl,
  SERVICES,
  type Servers,
  type ServiceName,
  type Step,
  shippedAgentCommand,
  shippedAgentProcess,
  signInAdministrator,
  startServers,
  startShipped,
  untilAllEnd,
} from '@postern/bootstrap'
import type { ClosingStack } from '@postern/lifecycle'
import { freePort, startKubeCluster } from '@postern/local-servers'
import { ageCertificate } from './age-certificate.ts'
import { openInspector } from './inspector.ts'
import type { Part } from './sample.ts'

/** Every service and the agent as they ship, each in a process of its own, and a real cluster. */
export type ShippedPlatform = {
  readonly dir: string
  readonly api: ApiClient
  readonly gatewayUrl: string
  readonly caFile: string
  readonly kubectlProgram: string
  /** The administrator of the cluster, past Postern. */
  readonly kubectl: Kubectl
  readonly kubernetes: { readonly server: string; readonly ca: string }
  readonly parts: readonly Part[]
  /** How many parts have renewed their certificate. */
  renewals(): number
}

export const SOAK_CLUSTER = { name: 'soak', labels: { env: 'soak' } }
const LOOPBACK = '127.0.0.1'

export async function startShippedPlatform(options: {
  readonly dir: string
  /** When the parts have to renew their first certificates. */
  readonly renewedInSeconds: number
  readonly step: Step
  readonly closing: ClosingStack
}): Promise<ShippedPlatform> {
  const { dir, renewedInSeconds, step, closing } = options
  const programs = await step('program of the cluster', () => buildDemoCluster())
  const bundles = join(dir, 'images')
  await step('bundles', async () => bundleParts(bundles, [...SERVICES, 'agent']))
  const servers = await startServers({ dir: join(dir, 'platform'), step, closing })
  const { ports, secrets } = servers
  for (const name of SERVICES) {
    if (name === 'identity') continue
    await ageCertificate({
      tlsDir: secrets.tlsDir(name),
      caDir: secrets.caDir,
      renewedInSeconds,
    })
  }
  const logs = join(dir, 'logs')
  const started = await step('services', () => startServices({ servers, bundles, logs, closing }))
  const admin = await signInAdministrator({
    secrets,
    apiUrl: `https://${LOOPBACK}:${ports.console}`,
    setupToken: () => /psu_\S+/.exec(readFileSync(join(logs, 'identity.log'), 'utf8'))?.[0],
  })
  const agentPorts = { inspector: await freePort(), http: await freePort() }
  const cluster = await step('cluster', () =>
    startKubeCluster({
      dir: join(dir, 'c'),
      programs,
      images: {
        [AGENT_IMAGE]: shippedAgentCommand(bundles, {
          POSTERN_AGENT_HTTP_LISTEN: `${LOOPBACK}:${agentPorts.http}`,
          NODE_OPTIONS: `--inspect=${LOOPBACK}:${agentPorts.inspector}`,
        }),
      },
    }),
  )
  closing.defer('cluster', () => cluster.stop())
  const kubectl = createKubectl({
    program: programs.kubectl,
    kubeconfig: cluster.kubeconfig,
    cacheDir: join(dir, 'cache-admin'),
  })
  await step('agent', () =>
    joinCluster({ api: admin.api, kubectl, ...SOAK_CLUSTER, installLevel: 'INSTALL_LEVEL_EDIT' }),
  )
  const agent: Part = {
    name: 'agent',
    pid: shippedAgentProcess(bundles),
    inspector: await openInspector(agentPorts.inspector, closing),
    metrics: `http://${LOOPBACK}:${agentPorts.http}/metrics`,
  }
  return {
    dir,
    api: admin.api,
    gatewayUrl: `https://${LOOPBACK}:${ports.gateway}`,
    caFile: secrets.webCaFile,
    kubectlProgram: programs.kubectl,
    kubectl,
    kubernetes: { server: cluster.server, ca: cluster.ca },
    parts: [...started, agent],
    renewals: () =>
      readdirSync(logs).filter((name) =>
        /certificate renewed/.test(readFileSync(join(logs, name), 'utf8')),
      ).length,
  }
}

async function startServices(order: {
  servers: Servers
  bundles: string
  logs: string
  closing: ClosingStack
}): Promise<Part[]> {
  const { servers, bundles, logs, closing } = order
  const start = async (name: ServiceName): Promise<Part> => {
    const inspector = await freePort()
    const settings = {
      ...servers.environmentOf(name),
      NODE_OPTIONS: `--inspect=${LOOPBACK}:${inspector}`,
    }
    const { child, http } = await startShipped({ name, folder: bundles, settings, logs, closing })
    return {
      name,
      pid: child.process.pid ?? 0,
      inspector: await openInspector(inspector, closing),
      metrics: `http://${http}/metrics`,
    }
  }
  return await untilAllEnd(SERVICES.map(start))
}
