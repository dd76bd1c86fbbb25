import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { getPriority } from 'node:os'

/** The process that has this file among its arguments. @throws Error when there is none */
export function processOf(file: string): number {
  const found = processes().find((pid) => read(pid, 'cmdline').split('\0').includes(file))
  if (found === undefined) throw new Error(`no process runs ${file}`)
  return found
}

export function childrenOf(pid: number): number[] {
  return processes().filter((one) => {
    const stat = read(one, 'stat')
    // The name in brackets may hold anything; the parent is the second field after it.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid
  })
}

function processes(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    // It ended in between.
    return ''
  }
}

/**
 * Makes this process's priority hold for those too. Linux shares the CPUs among sessions first
 * (sched(7), the autogroup feature), and each server has a session of its own: there `nice` alone does
 * nothing.
 */
export function sharePriority(pids: readonly number[]): void {
  const priority = getPriority()
  if (priority === 0) return
  for (const pid of [process.pid, ...pids]) {
    try {
      writeFileSync(`/proc/${pid}/autogroup`, String(priority))
    } catch {
      // It has none, or may not be changed: nothing is measured wrongly, only less steadily.
    }
  }
}
