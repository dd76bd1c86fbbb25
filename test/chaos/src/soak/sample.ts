import { readdirSync, readlinkSync } from 'node:fs'
import { residentMemory } from '@postern/bootstrap'
import type { Inspector } from './inspector.ts'

/** A process of Postern that is watched. */
export type Part = {
  readonly name: string
  readonly pid: number
  readonly inspector: Inspector
  /** "http://…/metrics" */
  readonly metrics: string
}

/** One look at a part. */
export type Sample = {
  readonly minute: number
  readonly residentBytes: number
  readonly heapBytes: number
  readonly externalBytes: number
  readonly files: number
  readonly sockets: number
  readonly handles: number
  readonly handlesByKind: Readonly<Record<string, number>>
  /** What it counts itself, by the name of the gauge. */
  readonly gauges: Readonly<Record<string, number>>
}

/** Of gateway, relay and agent: what is open because of somebody who uses it. */
const GAUGES =
  /^postern_(?:gateway_(?:streams|requests_running|connections|spool_records)|relay_(?:splices|parked_agents|control_connections|pairs_waiting|strangers)|agent_(?:accounts|streams|connections))(?:\{[^}]*\})? (\S+)$/gm
const METRICS_MS_MAX = 30_000

export async function sampleOf(part: Part, minute: number): Promise<Sample> {
  const { heapBytes, externalBytes, handles } = await part.inspector.look()
  const files = openFiles(part.pid)
  return {
    minute,
    residentBytes: residentMemory(part.pid),
    heapBytes,
    externalBytes,
    files: files.length,
    sockets: files.filter((target) => target.startsWith('socket:')).length,
    handles: Object.values(handles).reduce((sum, count) => sum + count, 0),
    handlesByKind: handles,
    gauges: await gaugesOf(part),
  }
}

async function gaugesOf({ metrics }: Part): Promise<Record<string, number>> {
  const response = await fetch(metrics, { signal: AbortSignal.timeout(METRICS_MS_MAX) })
  const gauges: Record<string, number> = {}
  for (const [line, value] of (await response.text()).matchAll(GAUGES)) {
    gauges[/^\w+/.exec(line)?.[0] ?? line] = Number(value)
  }
  return gauges
}

function openFiles(pid: number): string[] {
  const folder = `/proc/${pid}/fd`
  return readdirSync(folder).flatMap((name) => {
    try {
      return [readlinkSync(`${folder}/${name}`)]
    } catch {
      // It was closed in between.
      return []
    }
  })
}
