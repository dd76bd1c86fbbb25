import { join } from 'node:path'
import type { KubeClusterPrograms } from '@postern/local-servers'
import type { Log } from '@postern/telemetry'
import { environment } from '../config.ts'
import { startDemoCluster } from '../demo/demo-cluster.ts'
import { startEnvtestCluster } from '../demo/envtest-cluster.ts'
import { joinCluster } from '../demo/join-cluster.ts'
import { startK3s } from '../demo/k3s.ts'
import { joinOutsideCluster } from '../demo/outside-cluster.ts'
import type { ApiClient } from '../platform/api-client.ts'
import type { Step } from '../platform/step.ts'
import { findKubectl } from './find-kubectl.ts'
import type { StartOptions } from './options.ts'

export type JoinedCluster = {
  readonly name: string
  readonly kubectlProgram: string
  /** What can be tried there depends on it. */
  readonly hasPods: boolean
}

const DEMO = 'demo'

/** Starts the cluster that was asked for, and joins it. `undefined` when none was. */
export async function startCluster(needs: {
  options: StartOptions
  /** Of the demo cluster, where it is one that is built. */
  programs: KubeClusterPrograms | undefined
  api: ApiClient
  labels: Readonly<Record<string, string>>
  step: Step
  say: (line: string) => void
  log: Log
  /** Called with how to stop what was started. */
  started: (stop: () => Promise<void>) => void
}): Promise<JoinedCluster | undefined> {
  const { options, programs, api, labels, step, started } = needs
  const { dir, cluster, fresh } = options
  const outsideDir = join(dir, 'outside')
  const joinOutside = async (kubeconfig: string, name?: string) => {
    const kubectlProgram = findKubectl()
    const common = { ...needs, dir: outsideDir, kubeconfig, kubectlProgram }
    const joined = await joinOutsideCluster({ ...common, name })
    started(() => joined.agent.stop())
    return { name: joined.name, kubectlProgram }
  }

  if (cluster === 'none') return undefined
  if (typeof cluster === 'object') {
    return { ...(await joinOutside(cluster.kubeconfig)), hasPods: true }
  }
  if (cluster === 'k3s') {
    const k3s = await step('demo cluster (k3s)', () =>
      startK3s({ dir: outsideDir, fresh, env: environment.variables }),
    )
    started(() => k3s.stop())
    return { ...(await joinOutside(k3s.kubeconfig, `${DEMO}-k3s`)), hasPods: true }
  }
  if (cluster === 'envtest') {
    const bare = await step('demo cluster (kube-apiserver and etcd alone)', () =>
      startEnvtestCluster(outsideDir),
    )
    started(() => bare.stop())
    return { ...(await joinOutside(bare.kubeconfig, `${DEMO}-api`)), hasPods: false }
  }
  if (programs === undefined) throw new Error('nobody built the demo cluster')
  const since = new Date()
  const demo = await step('demo cluster', () =>
    startDemoCluster({ dir: join(dir, 'cluster'), programs }),
  )
  started(() => demo.stop())
  await step('joining it', () =>
    joinCluster({
      api,
      kubectl: demo.kubectl,
      name: DEMO,
      labels,
      installLevel: 'INSTALL_LEVEL_EDIT',
      since,
    }),
  )
  return { name: DEMO, kubectlProgram: programs.kubectl, hasPods: true }
}
