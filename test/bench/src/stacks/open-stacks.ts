import type { Kubectl, Servers } from '@postern/bootstrap'
import { sharePriority } from '../processes.ts'
import type { BenchWorld } from './bench-world.ts'
import { startGoProxies, startGoTunnel } from './go-stacks.ts'
import { startKubectlProxy } from './kubectl-proxy.ts'
import { startNginx } from './nginx.ts'
import type { Population } from './population.ts'
import { startPostern } from './postern.ts'
import type { Limits, Stack, StackName } from './stack.ts'

export type OpenStacks = {
  /** Those that run. */
  readonly names: readonly StackName[]
  /** As it is now. @throws Error when it does not run */
  get(name: StackName): Stack
  /** Gives it new processes. */
  renew(name: StackName, limits: Limits): Promise<Stack>
  /** Why some are not there. */
  readonly notes: readonly string[]
}

/** Starts those stacks, all of them before anything is measured. */
export async function openStacks(
  world: BenchWorld,
  order: {
    wanted: ReadonlySet<StackName>
    servers: Servers
    bundles: string
    kubectl: Kubectl
    population: Population
  },
): Promise<OpenStacks> {
  const { wanted } = order
  const stacks = new Map<StackName, Stack>()
  const notes: string[] = []
  for (const name of wanted) {
    const stack = await world.step(name, () => start(name))
    if (stack === undefined) notes.push(`${name}: left out, its program is not installed`)
    else stacks.set(name, stack)
  }
  const get = (name: StackName) => {
    const stack = stacks.get(name)
    if (stack === undefined) throw new Error(`${name} does not run`)
    return stack
  }
  return {
    names: [...stacks.keys()],
    notes,
    get,
    async renew(name, limits) {
      const renewed = await get(name).renew?.(limits)
      if (renewed === undefined) return get(name)
      stacks.set(name, renewed)
      sharePriority(renewed.hops.map(({ pid }) => pid))
      return renewed
    },
  }

  async function start(name: StackName): Promise<Stack | undefined> {
    switch (name) {
      case 'direct': {
        const { address, caFile } = world.upstream
        return { name, address, prefix: '', caFile, hops: [], beside: [] }
      }
      case 'postern':
        return await startPostern(world, order)
      case 'go-tunnel-2':
        return await startGoTunnel(world, { name, wire: 'yamux', tuning: 'plain' })
      case 'go-tunnel-h2':
        return await startGoTunnel(world, { name, wire: 'h2', tuning: 'plain' })
      case 'go-tunnel-tuned':
        return await startGoTunnel(world, { name, wire: 'yamux', tuning: 'tuned' })
      case 'go-tunnel-gathered':
        return await startGoTunnel(world, { name, wire: 'yamux', tuning: 'gathered' })
      case 'go-tunnel-3': {
        const before = await startGoTunnel(world, { name, wire: 'yamux', tuning: 'plain' })
        return await startGoProxies(world, { name, count: 1, before })
      }
      case 'go-proxy-2':
        return await startGoProxies(world, { name, count: 2 })
      case 'go-proxy-3':
        return await startGoProxies(world, { name, count: 3 })
      case 'nginx-3':
        return await startNginx(world)
      case 'kubectl-proxy':
        return await startKubectlProxy(world)
    }
  }
}
