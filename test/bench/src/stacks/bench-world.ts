import { once } from 'node:events'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import type { Step } from '@postern/bootstrap'
import type { ClosingStack } from '@postern/lifecycle'
import { type Child, freePort, startChild, untilReady } from '@postern/local-servers'

/** What all stacks stand on. */
export type BenchWorld = {
  readonly dir: string
  /** The Go program of test/bench/peers. */
  readonly peers: string
  readonly kubectl: string
  /** Certificate, key and authority of everything that clients connect to. */
  readonly web: { readonly cert: string; readonly key: string; readonly ca: string }
  /** The API server as the stacks see it. */
  readonly upstream: Upstream
  readonly step: Step
  /** Everything that is started is closed with it. */
  readonly closing: ClosingStack
}

export type Upstream = {
  readonly address: string
  readonly caFile: string
  readonly caKeyFile: string
  /** Plain HTTP: events for watches. */
  readonly control: string
  readonly pid: number
}

const START_MS_MAX = 30_000

/** A free address of this machine. */
export async function freeAddress(): Promise<string> {
  return `127.0.0.1:${await freePort()}`
}

/** Starts a server of this machine and resolves when all of the addresses can be connected to. */
export async function startServer(
  world: Pick<BenchWorld, 'dir' | 'closing'>,
  order: {
    name: string
    program: string
    args: readonly string[]
    addresses: readonly string[]
    env?: NodeJS.ProcessEnv
  },
): Promise<Child> {
  const { name, program: command, args, env } = order
  const logFile = join(world.dir, `${name}.log`)
  let child: Child | undefined
  // Whatever closes already starts nothing.
  world.closing.defer(name, () => child?.stop())
  child = startChild({ command, args, logFile, ...(env === undefined ? {} : { env }) })
  await untilReady(name, child, START_MS_MAX, async () => {
    for (const address of order.addresses) await connectOnce(address)
  })
  return child
}

async function connectOnce(address: string): Promise<void> {
  const { hostname, port } = new URL(`tcp://${address}`)
  const socket = createConnection(Number(port), hostname)
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(1000) })
  } finally {
    socket.destroy()
  }
}
