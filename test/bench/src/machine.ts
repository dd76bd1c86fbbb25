import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'

/** What it was measured on. */
export type Machine = {
  readonly processors: string
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  readonly go: string
  /** Of the minute before: more than little means that others were at work too. */
  readonly loadBefore: number
  /** Of one process: what bounds connections here. */
  readonly openFilesMax: number
}

const GIB = 1024 ** 3

export function describeMachine(goVersion: string): Machine {
  const model = cpus()[0]?.model.trim() ?? 'unknown'
  return {
    processors: `${availableParallelism()} x ${model}`,
    memoryGiB: Math.round(totalmem() / GIB),
    system: `${process.platform} ${release()} ${process.arch}`,
    node: process.version,
    go: goVersion,
    loadBefore: loadavg()[0] ?? 0,
    openFilesMax: openFilesMax(),
  }
}

/** The hard limit: Node and Go raise theirs to it by themselves. */
function openFilesMax(): number {
  const text = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim()
  return text === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(text)
}
