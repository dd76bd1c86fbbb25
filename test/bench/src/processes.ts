import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import { sumOf } from './statistics.ts'

export function childrenOf(pid: number): number[] {
  return processes().filter((one) => Number(afterName(one)[1]) === pid)
}

const TICKS_PER_SECOND = 100

/** CPU that it and what it started have used so far; none of one that is gone. */
export function cpuSecondsOf(pid: number): number {
  // User and system time, its own and that of children that ended: proc_pid_stat(5).
  const ticks = sumOf(afterName(pid).slice(11, 15).map(Number))
  return ticks / TICKS_PER_SECOND + sumOf(childrenOf(pid).map(cpuSecondsOf))
}

/** Memory of it and what it started, a page that n processes map as an n-th; none of one that is gone. */
export function proportionalBytesOf(pid: number): number {
  const kibibytes = /^Pss:\s+(\d+) kB/m.exec(read(pid, 'smaps_rollup'))?.[1]
  return Number(kibibytes ?? 0) * 1024 + sumOf(childrenOf(pid).map(proportionalBytesOf))
}

/** The fields of /proc/PID/stat after the name in brackets, which may hold anything. */
function afterName(pid: number): string[] {
  const stat = read(pid, 'stat')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
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
 * Makes this process's priority hold for those. Linux shares the CPUs among sessions first
 * (sched(7), the autogroup feature), and each server has a session of its own: there `nice` alone does
 * nothing.
 */
export function sharePriority(pids: readonly number[]): void {
  const priority = getPriority()
  if (priority === 0) return
  for (const pid of pids) {
    try {
      writeFileSync(`/proc/${pid}/autogroup`, String(priority))
    } catch {
      // It has none, or may not be changed: nothing is measured wrongly, only less steadily.
    }
  }
}
