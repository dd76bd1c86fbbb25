import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KubeClusterPrograms } from '@postern/local-servers'
import { createLog } from '@postern/telemetry'
import { buildDemoCluster, type DemoCluster, startDemoCluster } from '../demo/demo-cluster.ts'
import { kubeconfigFor } from '../demo/demo-user.ts'
import { type InstallLevel, joinCluster } from '../demo/join-cluster.ts'
import { createKubectl, type Kubectl } from '../demo/kubectl.ts'
import { type Administrator, signInAdministrator } from '../platform/administrator.ts'
import { type Platform, startPlatform } from '../platform/start-platform.ts'
import type { Step } from '../platform/step.ts'
import { type Cli, createCli } from './cli.ts'

/** Everything that the story plays with, in a folder of its own. */
export type World = {
  readonly dir: string
  readonly platform: Platform
  readonly admin: Administrator
  readonly postern: Cli
  readonly kubectlProgram: string
  /** By name. Started and joined by `addCluster`. */
  readonly clusters: ReadonlyMap<string, DemoCluster>
  cluster(name: string): DemoCluster
  /** What its accounts may have at most goes with the install level; "edit" when it is left out. */
  addCluster(
    name: string,
    labels: Readonly<Record<string, string>>,
    installLevel?: InstallLevel,
  ): Promise<DemoCluster>
  /** A kubectl of the user, through Postern. */
  kubectlOf(user: string, cluster: string): Promise<Kubectl>
  /** The kubeconfig of that kubectl. */
  kubeconfigFile(user: string, cluster: string): string
  stop(): Promise<void>
}

export async function createWorld(step: Step): Promise<World> {
  const dir = mkdtempSync(join(tmpdir(), 'ptn-'))
  const log = createLog({ name: 'postern', stream: createWriteStream(join(dir, 'postern.log')) })
  const stops: (() => Promise<void>)[] = [async () => rmSync(dir, { recursive: true, force: true })]
  const stop = async () => {
    for (const one of stops.toReversed()) await one()
  }
  try {
    const building = buildDemoCluster()
    building.catch(() => {})
    const platform = await startPlatform({ dir: join(dir, 'platform'), log, step })
    stops.push(() => platform.stop())
    const admin = await step('administrator', () => signInAdministrator(platform))
    const programs = await step('program of the clusters', () => building)
    return worldOf({ dir, platform, admin, programs, stops, stop })
  } catch (error) {
    await stop()
    throw error
  }
}

function worldOf(needs: {
  dir: string
  platform: Platform
  admin: Administrator
  programs: KubeClusterPrograms
  stops: (() => Promise<void>)[]
  stop: () => Promise<void>
}): World {
  const { dir, platform, admin, programs, stops, stop } = needs
  const clusters = new Map<string, DemoCluster>()
  const ca = readFileSync(platform.secrets.webCaFile, 'utf8')
  const token = admin.api.token ?? ''
  const kubeconfigFile = (user: string, cluster: string) =>
    join(dir, `${user}-${cluster}.kubeconfig`)
  return {
    dir,
    platform,
    admin,
    clusters,
    kubectlProgram: programs.kubectl,
    postern: createCli({ dir, name: admin.name, url: platform.apiUrl, ca, token }),
    kubeconfigFile,
    cluster(name) {
      const cluster = clusters.get(name)
      if (cluster === undefined) throw new Error(`no cluster ${name} yet`)
      return cluster
    },
    async addCluster(name, labels, installLevel = 'INSTALL_LEVEL_EDIT') {
      const cluster = await startDemoCluster({ dir: join(dir, name), programs })
      stops.push(() => cluster.stop())
      clusters.set(name, cluster)
      const { api } = admin
      await joinCluster({ api, kubectl: cluster.kubectl, name, labels, installLevel })
      return cluster
    },
    async kubectlOf(user, cluster) {
      const kubeconfig = kubeconfigFile(user, cluster)
      writeFileSync(kubeconfig, await kubeconfigFor(admin.api, user, cluster), { mode: 0o600 })
      const cacheDir = join(dir, `cache-${user}-${cluster}`)
      return createKubectl({ program: programs.kubectl, kubeconfig, cacheDir })
    },
    stop,
  }
}
