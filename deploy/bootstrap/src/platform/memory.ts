import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

const KIB = 1024

/**
 * Memory of a process and its children in bytes: proportional set size where the kernel tells it
 * (Linux), so that shared pages of PostgreSQL's processes count once; `undefined` elsewhere.
 */
export function memoryOfTree(pid: number): number | undefined {
  try {
    return [pid, ...descendants(pid)].reduce((sum, one) => sum + (rollup(one, 'Pss') ?? 0), 0)
  } catch {
    return undefined
  }
}

/** The same by child: "node" and what it started; empty where the kernel does not tell. */
export function memoryByChild(pid: number): { readonly name: string; readonly bytes: number }[] {
  try {
    const own = { name: 'node', bytes: rollup(pid, 'Pss') ?? 0 }
    const children = childrenOf(pid).map((child) => ({
      name: nameOf(child),
      bytes: memoryOfTree(child) ?? 0,
    }))
    return [own, ...children]
  } catch {
    return []
  }
}

/** Resident set size of one process in bytes, all of its shared pages included. */
export function residentMemory(pid: number): number {
  const resident = rollup(pid, 'Rss')
  if (resident !== undefined) return resident
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) * KIB
}

export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / KIB / KIB)} MiB`
}

function rollup(pid: number, field: 'Pss' | 'Rss'): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * KIB
  } catch {
    // It ended in between, or the kernel does not tell.
    return undefined
  }
}

function nameOf(pid: number): string {
  return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
}

function descendants(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendants(child)])
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((one) => parentOf(one) === pid)
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in brackets may hold anything; the parent is the second field after it.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    // It ended in between.
    return undefined
  }
}
