import { readdirSync, readFileSync } from 'node:fs'
import type { World } from '@postern/bootstrap'

/** Stops a process and all below it; nothing is closed, nothing answers. Answers how to let it go on. */
export function freeze(pid: number): () => void {
  const pids = [pid, ...descendants(pid)]
  for (const one of pids) signal(one, 'SIGSTOP')
  return () => {
    for (const one of pids) signal(one, 'SIGCONT')
  }
}

/** Processes below a process, and those below them. */
function descendants(of: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (/^\d+$/.test(name)) parents.set(Number(name), parentOf(name))
  }
  const below = (parent: number): number[] =>
    [...parents]
      .filter(([, found]) => found === parent)
      .flatMap(([child]) => [child, ...below(child)])
  return below(of)
}

function parentOf(pid: string): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in brackets may hold anything; the parent is the second field after it.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    // It ended in between.
    return 0
  }
}

/** The words a process was started with. */
function commandOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
  } catch {
    // It ended in between.
    return []
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It ended in between.
  }
}

/** The process of the agent that runs in a pod of that cluster. @throws when there is none now */
export function agentOf(cluster: ReturnType<World['cluster']>): number {
  const agent = descendants(cluster.pid).find((pid) =>
    commandOf(pid).at(-1)?.endsWith('/services/agent/src/main.ts'),
  )
  if (agent === undefined) throw new Error('no agent runs in the cluster')
  return agent
}
