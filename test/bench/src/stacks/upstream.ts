import { join } from 'node:path'
import { AGENT_IMAGE, createKubectl, type Kubectl } from '@postern/bootstrap'
import { type KubeClusterPrograms, startKubeCluster } from '@postern/local-servers'
import { type BenchWorld, freeAddress, startServer, type Upstream } from './bench-world.ts'

const NAMESPACE = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'bench' },
}

/**
 * A real cluster, and in front of its API server one that answers the paths of the benchmark itself: a
 * real one would be what is measured. The agent of Postern does not see the difference: accounts,
 * tokens and watches of its own are the real server's.
 */
export async function startUpstream(
  world: Pick<BenchWorld, 'dir' | 'closing' | 'peers' | 'step'>,
  order: {
    programs: KubeClusterPrograms
    /** What a container of the agent's image runs, when kube-apiserver is at that address. */
    agentCommand: (kubernetes: string) => readonly string[]
  },
): Promise<{ upstream: Upstream; kubectl: Kubectl }> {
  const { dir, closing, peers, step } = world
  const { programs } = order
  const [address, control] = [await freeAddress(), await freeAddress()]
  const cluster = await step('Kubernetes cluster', async () => {
    const images = { [AGENT_IMAGE]: order.agentCommand(address) }
    const started = await startKubeCluster({ dir: join(dir, 'cluster'), programs, images })
    closing.defer('cluster', () => started.stop())
    return started
  })
  const child = await startServer(world, {
    name: 'upstream',
    program: peers,
    args: [
      'upstream',
      '--listen',
      address,
      '--control',
      control,
      '--target',
      cluster.server,
    ].concat(['--ca', cluster.ca, '--ca-key', cluster.caKey]),
    addresses: [address, control],
  })
  const kubectl = createKubectl({
    program: programs.kubectl,
    kubeconfig: cluster.kubeconfig,
    cacheDir: join(dir, 'kubectl-cache'),
  })
  await kubectl.ok(['apply', '-f', '-'], JSON.stringify(NAMESPACE))
  const authority = { caFile: cluster.ca, caKeyFile: cluster.caKey }
  const upstream = { address, control, ...authority, pid: child.process.pid ?? 0 }
  return { upstream, kubectl }
}
