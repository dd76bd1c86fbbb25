import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type BenchWorld, freeAddress, startServer } from './bench-world.ts'
import { partOf, type Stack } from './stack.ts'

/** One hop, with plain HTTP in front of it. */
export async function startKubectlProxy(world: BenchWorld): Promise<Stack> {
  const { dir, upstream } = world
  const address = await freeAddress()
  const kubeconfig = join(dir, 'kubectl-proxy.kubeconfig')
  const cluster = {
    server: `https://${upstream.address}`,
    'certificate-authority': upstream.caFile,
  }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'bench', cluster }],
    users: [{ name: 'nobody', user: { token: 'none' } }],
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'nobody' } }],
    'current-context': 'bench',
  }
  writeFileSync(kubeconfig, JSON.stringify(config))
  const proxy = await startServer(world, {
    name: 'kubectl-proxy',
    program: world.kubectl,
    // Its own rules refuse exec and attach by default.
    args: [
      'proxy',
      '--kubeconfig',
      kubeconfig,
      '--reject-paths=^$',
      `--port=${address.split(':')[1]}`,
    ],
    addresses: [address],
  })
  return { name: 'kubectl-proxy', address, prefix: '', hops: [partOf('proxy', proxy)], beside: [] }
}
