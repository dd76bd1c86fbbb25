import { spawn } from 'node:child_process'
import { copyFileSync, createWriteStream, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { ApiClient } from '@postern/bootstrap'
import { tail } from '@postern/local-servers'
import { environment } from '../config.ts'
import { type BenchWorld, freeAddress, startServer } from '../stacks/bench-world.ts'
import type { Part } from '../stacks/stack.ts'

/** Clusters that are not there, with agents that are. */
export type Fleet = {
  /** Plain HTTP: events for the watches of all clusters. */
  readonly control: string
  readonly clustersPid: number
  /** Joins clusters by number, with all of their agents in one process; resolves when they are parked. */
  join(from: number, until: number): Promise<Part>
}

const AGENTS = join(environment.root, 'test/bench/src/scale/agents.ts')
const PARKED_MS_MAX = 180_000

export async function startFleet(world: BenchWorld, api: ApiClient): Promise<Fleet> {
  const dir = join(world.dir, 'fleet')
  mkdirSync(dir, { recursive: true })
  const [address, control] = [await freeAddress(), await freeAddress()]
  const { caFile, caKeyFile } = world.upstream
  const child = await startServer(world, {
    name: 'clusters',
    program: world.peers,
    args: ['clusters', '--listen', address, '--control', control, '--ca', caFile].concat([
      '--ca-key',
      caKeyFile,
    ]),
    addresses: [address, control],
  })
  return {
    control,
    clustersPid: child.process.pid ?? 0,
    async join(from, until) {
      const numbers = Array.from({ length: until - from }, (_, at) => from + at)
      const settings: object[] = []
      for (const n of numbers) settings.push(await settingsOf(n))
      return { name: 'agents', pid: await startAgents(settings, join(dir, `agents-${from}.log`)) }
    },
  }

  async function settingsOf(n: number): Promise<object> {
    const name = `cluster-${n}`
    const { manifest } = await api.call('POST', `/v1/clusters/${name}/join-manifest`, {})
    const accountDir = join(dir, name)
    mkdirSync(accountDir, { recursive: true })
    copyFileSync(caFile, join(accountDir, 'ca.crt'))
    writeFileSync(join(accountDir, 'namespace'), 'postern-system')
    // By this its cluster is told apart from the others.
    writeFileSync(join(accountDir, 'token'), `agent-of-${name}`)
    return {
      ...inManifest(String(manifest)),
      POSTERN_AGENT_SERVICE_ACCOUNT_DIR: accountDir,
      POSTERN_AGENT_KUBERNETES: address,
    }
  }

  async function startAgents(settings: readonly object[], logFile: string): Promise<number> {
    const args = ['--conditions=@postern/source', '--single-threaded-gc', AGENTS]
    const agents = spawn(environment.node, args)
    agents.stderr.pipe(createWriteStream(logFile))
    world.closing.defer('agents', async () => {
      agents.kill('SIGKILL')
      await Promise.resolve()
    })
    agents.stdin.end(JSON.stringify(settings))
    const late = setTimeout(() => agents.kill('SIGKILL'), PARKED_MS_MAX)
    for await (const line of createInterface({ input: agents.stdout })) {
      if (line !== 'parked') continue
      clearTimeout(late)
      return agents.pid ?? 0
    }
    throw new Error(`the agents did not come: ${tail(logFile)}`)
  }
}

/** What the manifest puts into the agent's environment. */
function inManifest(text: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [, name = '', value = ''] of text.matchAll(/^ {2}(POSTERN_\w+|token): (".*")$/gm)) {
    const parsed: unknown = JSON.parse(value)
    if (typeof parsed !== 'string') continue
    found[name === 'token' ? 'POSTERN_AGENT_JOIN_TOKEN' : name] = parsed
  }
  return found
}
