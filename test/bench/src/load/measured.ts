import type { Part, Stack } from '../stacks/stack.ts'
import { sumOf } from '../statistics.ts'

/** What one run of the load measured. */
export type Measured = {
  readonly requests: number
  readonly seconds: number
  readonly perSecond: number
  readonly p50Micros: number
  readonly p99Micros: number
  readonly bytesPerSecond: number
  /** CPU of the hops together, and of each. */
  readonly hopMicros: number
  readonly hops: Readonly<Record<string, number>>
  /** CPU for each request of what works beside the path, by name. */
  readonly beside: Readonly<Record<string, number>>
  readonly hopSeconds: number
  /** How much of the machine's busy time had nothing to do with this run. */
  readonly foreignShare: number
}

/** As `peers load` prints it. */
export type LoadAnswer = {
  readonly requests: number
  readonly seconds: number
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly bytes: number
  readonly failures: number
  readonly failure: string
  readonly cpuSeconds: Readonly<Record<string, number>>
  readonly loadCpuSeconds: number
  readonly machineCpuSeconds: number
  /** Of watches: when the last of them had an event, half of the times. */
  readonly allP50: number
  /** Of a flood: how often each status came, and how often with a Retry-After. */
  readonly statuses: Readonly<Record<string, number>>
  readonly retryAfter: number
}

/** @throws Error for what is not the load's answer, or measured nothing */
export function parseLoadAnswer(line: string): LoadAnswer {
  const value: Partial<LoadAnswer> = JSON.parse(line)
  const { requests, seconds, perSecond, cpuSeconds } = value
  if (!requests || !seconds || perSecond === undefined || cpuSeconds === undefined) {
    throw new Error(`the load measured nothing: ${line.trim()}`)
  }
  return {
    p50: 0,
    p99: 0,
    bytes: 0,
    failures: 0,
    failure: '',
    loadCpuSeconds: 0,
    machineCpuSeconds: 0,
    allP50: 0,
    statuses: {},
    retryAfter: 0,
    ...value,
    requests,
    seconds,
    perSecond,
    cpuSeconds,
  }
}

export function toMeasured(answer: LoadAnswer, stack: Stack): Measured {
  const { requests, seconds, cpuSeconds } = answer
  const micros = (parts: readonly Part[]) => {
    const byName: Record<string, number> = {}
    for (const { name, pid } of parts) {
      byName[name] = (byName[name] ?? 0) + ((cpuSeconds[String(pid)] ?? 0) / requests) * 1e6
    }
    return byName
  }
  const hops = micros(stack.hops)
  const hopMicros = sumOf(Object.values(hops))
  const own = sumOf(Object.values(cpuSeconds)) + answer.loadCpuSeconds
  const busy = answer.machineCpuSeconds
  return {
    requests,
    seconds,
    perSecond: answer.perSecond,
    p50Micros: answer.p50,
    p99Micros: answer.p99,
    bytesPerSecond: answer.bytes / seconds,
    hopMicros,
    hops,
    beside: micros(stack.beside),
    hopSeconds: (hopMicros * requests) / 1e6,
    foreignShare: busy === 0 ? 0 : Math.max(0, 1 - own / busy),
  }
}
