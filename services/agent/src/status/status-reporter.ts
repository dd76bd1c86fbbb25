import { setTimeout } from 'node:timers/promises'
import { messageOf } from '@postern/errors'
import type { Log } from '@postern/telemetry'
import type { KubeClient } from '../adapters/kube-client.ts'
import type { AgentStatus } from '../adapters/tunnel-broker-client.ts'
import type { Namespaces } from './namespaces.ts'
import { kubernetesVersion, selfTest } from './self-test.ts'

const REPORT_MS = 10_000
/** Namespaces come in bursts; a new one must be usable soon. */
const SETTLE_MS = 300
const TEST_AGAIN_MS = 60_000
const TEXT_CHARACTERS_MAX = 300

/** Says every ten seconds, and when namespaces change, how the agent and its cluster are. */
export function createStatusReporter(needs: {
  readonly kube: KubeClient
  readonly namespaces: Pick<Namespaces, 'all'>
  readonly report: (status: AgentStatus) => Promise<void>
  readonly isFatal: (error: unknown) => boolean
  readonly version: string
  readonly log: Log
}) {
  const { kube, namespaces, report, isFatal, version, log } = needs
  let wake: () => void = () => {}
  let isChanged = false
  let tested: { problems: string[]; kubernetesVersion: string; atMs: number } | undefined
  let wasReported = true

  async function test(): Promise<{ problems: string[]; kubernetesVersion: string }> {
    if (tested !== undefined && performance.now() - tested.atMs < TEST_AGAIN_MS) return tested
    try {
      const [problems, found] = await Promise.all([selfTest(kube), kubernetesVersion(kube)])
      const isNews = problems.join() !== (tested?.problems.join() ?? '')
      if (isNews) log.warn({ problems }, 'self-test')
      tested = { problems, kubernetesVersion: found, atMs: performance.now() }
      return tested
    } catch (error) {
      const text = messageOf(error)
      const problem = `kube-apiserver does not answer: ${text}`.slice(0, TEXT_CHARACTERS_MAX)
      return { problems: [problem], kubernetesVersion: tested?.kubernetesVersion ?? '' }
    }
  }

  async function reportOnce(): Promise<void> {
    const { problems, kubernetesVersion: found } = await test()
    const { all } = namespaces
    try {
      await report({
        version,
        kubernetesVersion: found,
        problems,
        ...(all === undefined ? {} : { namespaces: all }),
      })
      wasReported = true
    } catch (error) {
      if (isFatal(error)) throw error
      if (wasReported) log.warn({ err: error }, 'status not reported')
      wasReported = false
    }
  }

  async function untilChanged(signal: AbortSignal): Promise<void> {
    const waited = new AbortController()
    const changed = new Promise<void>((resolve) => {
      wake = resolve
    })
    await Promise.race([quiet(REPORT_MS, AbortSignal.any([signal, waited.signal])), changed])
    waited.abort()
  }

  return {
    /** Reports soon. */
    changed(): void {
      isChanged = true
      wake()
    },
    async run(signal: AbortSignal): Promise<void> {
      while (!signal.aborted) {
        isChanged = false
        await reportOnce()
        if (!isChanged) await untilChanged(signal)
        await quiet(SETTLE_MS, signal)
      }
    },
  }
}

async function quiet(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal, ref: false }).catch(() => undefined)
}
