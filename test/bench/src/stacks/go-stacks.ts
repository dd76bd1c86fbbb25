import type { Child } from '@postern/local-servers'
import { type BenchWorld, freeAddress, startServer } from './bench-world.ts'
import { type Part, partOf, type Stack, type StackName } from './stack.ts'

type Wire = 'yamux' | 'h2'
type Tuning = 'plain' | 'tuned' | 'gathered'

/** A reverse tunnel: what clients connect to, and an agent that has dialled it. */
export async function startGoTunnel(
  world: BenchWorld,
  order: { name: StackName; wire: Wire; tuning: Tuning },
): Promise<Stack> {
  const { name, wire, tuning } = order
  const { web, upstream } = world
  const [address, agents] = [await freeAddress(), await freeAddress()]
  const shape = ['--wire', wire, '--tuning', tuning]
  const gateway = await startServer(world, {
    name: `${name}-gateway`,
    program: world.peers,
    args: ['tunnel-gateway', '--listen', address, '--agents', agents, ...certificate(world)].concat(
      shape,
    ),
    addresses: [address, agents],
  })
  const to = ['--target', `https://${upstream.address}`, '--ca', upstream.caFile]
  const agent = await startServer(world, {
    name: `${name}-agent`,
    program: world.peers,
    args: ['tunnel-agent', '--gateway', agents, '--gateway-ca', web.ca, ...to, ...shape],
    addresses: [],
  })
  const hops = [partOf('gateway', gateway), partOf('agent', agent)]
  return { name, address, prefix: '', caFile: web.ca, hops, beside: [] }
}

/** Reverse proxies one behind the other, each with TLS on both sides. */
export async function startGoProxies(
  world: BenchWorld,
  order: { name: StackName; count: number; before?: Stack },
): Promise<Stack> {
  const { name, count, before } = order
  const { web, upstream } = world
  let behind = before?.address ?? upstream.address
  let behindCa = before?.caFile ?? upstream.caFile
  const started: Child[] = []
  const hops: Part[] = [...(before?.hops ?? [])]
  for (let hop = 1; hop <= count; hop += 1) {
    const address = await freeAddress()
    const to = ['--target', `https://${behind}`, '--ca', behindCa]
    const proxy = await startServer(world, {
      name: `${name}-${hop}`,
      program: world.peers,
      args: ['proxy', '--listen', address, ...certificate(world), ...to],
      addresses: [address],
    })
    started.push(proxy)
    hops.unshift(partOf(`proxy ${hop}`, proxy))
    behind = address
    behindCa = web.ca
  }
  const stack: Stack = { name, address: behind, prefix: '', caFile: web.ca, hops, beside: [] }
  if (before !== undefined) return stack
  const renew = async () => {
    for (const proxy of started) await proxy.stop()
    return await startGoProxies(world, order)
  }
  return { ...stack, renew }
}

function certificate({ web }: BenchWorld): string[] {
  return ['--cert', web.cert, '--key', web.key]
}
