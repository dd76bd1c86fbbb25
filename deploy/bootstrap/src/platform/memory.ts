import { readdirSync, readFileSync } from 'node:fs'

const KIB = 1024

/**
 * Memory of a process and its children in bytes: proportional set size where the kernel tells it
 * (Linux), so that shared pages of PostgreSQL's processes count once; `undefined` elsewhere.
 */
export function memoryOfTree(pid: number): number | undefined {
  try {
    return [pid, ...descendants(pid)].reduce((sum, one) => sum + pss(one), 0)
  } catch {
    return undefined
  }
}

export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / KIB / KIB)} MiB`
}

function pss(pid: number): number {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
    return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * KIB
  } catch {
    // It ended in between.
    return 0
  }
}

function descendants(pid: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      // The name in brackets may hold anything; the parent is the second field after it.
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
      parents.set(Number(name), parent)
    } catch {
      // It ended in between.
    }
  }
  const below = (of: number): number[] =>
    [...parents]
      .filter(([, parent]) => parent === of)
      .flatMap(([child]) => [child, ...below(child)])
  return below(pid)
}
