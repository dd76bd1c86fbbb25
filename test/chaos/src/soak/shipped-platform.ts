import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
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
  shippedCommandOf,
  signInAdministrator,
  startServers,
  startShipped,
} from '@postern/bootstrap'
import type { ClosingStack } from '@postern/lifecycle'
import { freePort, startKubeCluster } from '@postern/local-servers'
import { environment } from '../config.ts'
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
  mkdirSync(logs, { recursive: true })
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
      images: { [AGENT_IMAGE]: agentCommand(bundles, agentPorts) },
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
    pid: processOf(join(bundles, 'agent/main.js')),
    inspector: await openInspector(agentPorts.inspector),
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
    const logFile = join(logs, `${name}.log`)
    const settings = {
      ...servers.environmentOf(name),
      POSTERN_TUNNEL_BROKER_MANIFEST_FILE: join(environment.root, 'deploy/agent/manifest.yaml'),
      NODE_OPTIONS: `--inspect=${LOOPBACK}:${inspector}`,
    }
    const child = await startShipped({ name, folder: bundles, settings, logFile })
    closing.defer(name, () => child.stop())
    const http = /"http":"([^"]+)"/.exec(readFileSync(logFile, 'utf8'))?.[1] ?? ''
    return {
      name,
      pid: child.process.pid ?? 0,
      inspector: await openInspector(inspector),
      metrics: `http://${http}/metrics`,
    }
  }
  // All of them, also when one fails: none may be left behind.
  const started = await Promise.allSettled(SERVICES.map(start))
  return started.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  })
}

/** How a container of the agent's image runs the bundled agent. */
function agentCommand(bundles: string, ports: { inspector: number; http: number }): string[] {
  const { env, args } = shippedCommandOf(bundles, 'agent')
  return [
    'env',
    ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
    // A pod's volumes are links below the folder it starts in.
    'POSTERN_AGENT_SERVICE_ACCOUNT_DIR=var/run/secrets/kubernetes.io/serviceaccount',
    `POSTERN_AGENT_HTTP_LISTEN=${LOOPBACK}:${ports.http}`,
    `NODE_OPTIONS=--inspect=${LOOPBACK}:${ports.inspector}`,
    environment.node,
    ...args,
  ]
}

/** The process that has this file among its arguments. @throws Error when there is none */
function processOf(file: string): number {
  const found = readdirSync('/proc').find((name) => {
    if (!/^\d+$/.test(name)) return false
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0').includes(file)
    } catch {
      // It ended in between.
      return false
    }
  })
  if (found === undefined) throw new Error(`no process runs ${file}`)
  return Number(found)
}
