import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '@postern/telemetry'
import type { ApiClient } from '../platform/api-client.ts'
import type { Step } from '../platform/step.ts'
import { prepareCluster, untilHeard } from './join-cluster.ts'
import { clusterNameFor, readKubeEndpoint } from './kube-endpoint.ts'
import { createKubectl } from './kubectl.ts'
import { type LocalAgent, startLocalAgent } from './local-agent.ts'

export type OutsideCluster = { readonly name: string; readonly agent: LocalAgent }

/**
 * Joins a cluster that cannot run this clone's agent in a pod: the manifest is applied with a
 * Deployment of no replicas, and the agent is a process of this machine.
 */
export async function joinOutsideCluster(options: {
  dir: string
  kubeconfig: string
  kubectlProgram: string
  api: ApiClient
  /** By default after the kubeconfig's context. */
  name: string | undefined
  labels: Readonly<Record<string, string>>
  step: Step
  say: (line: string) => void
  log: Log
}): Promise<OutsideCluster> {
  const { dir, kubeconfig, api, labels, step, say, log } = options
  const kubectl = createKubectl({
    program: options.kubectlProgram,
    kubeconfig,
    cacheDir: join(dir, 'kubectl-cache'),
  })
  const endpoint = await readKubeEndpoint(kubectl)
  const name = options.name ?? clusterNameFor(endpoint.context)
  const manifestFile = join(dir, 'agent-manifest.yaml')
  say(`  The cluster of context "${endpoint.context}" (${endpoint.address}) joins as "${name}".`)
  const applied = await step('manifest of the agent', () =>
    prepareCluster({
      api,
      kubectl,
      name,
      labels,
      installLevel: 'INSTALL_LEVEL_EDIT',
      agentInPods: false,
    }),
  )
  if (applied !== undefined) {
    writeFileSync(manifestFile, applied, { mode: 0o600 })
    say(`  Applied there: ${manifestFile} (namespaces postern-system and postern-jit, roles,`)
    say('  admission policies, a Deployment of no replicas). To be rid of all of it:')
    say(`    kubectl --kubeconfig ${kubeconfig} delete -f ${manifestFile}`)
  }
  say('  Its agent is a process here, with a token of its service account that is kept fresh.')
  const agent = await step('agent', async () => {
    const since = new Date()
    const started = await startLocalAgent({ dir, kubectl, endpoint, log })
    try {
      await untilHeard({ api, name, since }, async () => await Promise.resolve(started.lastWords()))
    } catch (error) {
      await started.stop()
      throw error
    }
    return started
  })
  return { name, agent }
}
