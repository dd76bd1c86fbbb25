import { join } from 'node:path'
import {
  buildKubeCluster,
  type KubeCluster,
  type KubeClusterPrograms,
  startKubeCluster,
} from '@postern/local-servers'
import { environment } from '../config.ts'
import { createKubectl, type Kubectl } from './kubectl.ts'

/** As the agent's manifest names it. */
export const AGENT_IMAGE = 'postern/agent:latest'

/** What a container of the agent's image runs here: the agent from its sources, under this Node. */
const AGENT_COMMAND = [
  'env',
  // A pod's volumes are links below the folder it starts in.
  'POSTERN_AGENT_SERVICE_ACCOUNT_DIR=var/run/secrets/kubernetes.io/serviceaccount',
  environment.node,
  '--conditions=@postern/source',
  '--disable-warning=ExperimentalWarning',
  '--import',
  join(environment.root, 'services/agent/src/telemetry.ts'),
  join(environment.root, 'services/agent/src/main.ts'),
]

export type DemoCluster = KubeCluster & { readonly kubectl: Kubectl }

export function buildDemoCluster(): Promise<KubeClusterPrograms> {
  const { clusterSourceDir: sourceDir, toolsDir, path } = environment
  return buildKubeCluster({ sourceDir, toolsDir, path })
}

/** A real cluster on this machine, kept in its folder, in which the agent's own manifest works. */
export async function startDemoCluster(options: {
  dir: string
  programs: KubeClusterPrograms
}): Promise<DemoCluster> {
  const { dir, programs } = options
  const images = { [AGENT_IMAGE]: AGENT_COMMAND }
  const cluster = await startKubeCluster({ dir, programs, images })
  const kubectl = createKubectl({
    program: programs.kubectl,
    kubeconfig: cluster.kubeconfig,
    cacheDir: join(dir, 'kubectl-cache'),
  })
  return { ...cluster, kubectl }
}
