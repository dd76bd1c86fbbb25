import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { shippedSettings } from '@postern/bootstrap'
import { environment } from '../config.ts'
import type { Measurement } from '../plan.ts'
import type { AuditWork } from '../work/audit-work.ts'
import type { DecisionWork } from '../work/decision-work.ts'
import type { MemoryWork } from '../work/memory-work.ts'

/** What single steps cost the gateway, in one round. */
export type WorkRun = { readonly round: number } & Steps

type Steps = DecisionWork & AuditWork & MemoryWork

const MS_MAX = 120_000
const SECONDS_EXPECTED = 16
const PROGRAM = join(environment.root, 'test/bench/src/work/work.ts')

export function planWork(order: { rounds: number; into: WorkRun[] }): Measurement[] {
  const { rounds, into } = order
  return Array.from({ length: rounds }, (_, at) => at + 1).map((round) => ({
    name: `work ${round}/${rounds}`,
    secondsExpected: SECONDS_EXPECTED,
    async run() {
      const work = await measureWork()
      into.push({ round, ...work })
      const { tokenLookUpMicros, decisionMicros, wholeMicros } = work
      return [
        `token ${tokenLookUpMicros.toFixed(2)} us`,
        `decision ${decisionMicros.toFixed(2)} us`,
        `audit ${wholeMicros.toFixed(1)} us`,
      ].join(', ')
    },
  }))
}

/** In a process of its own, with what a gateway's image sets: nothing else that runs here is in its figures. */
async function measureWork(): Promise<Steps> {
  const { options, env } = shippedSettings('gateway')
  const flags = ['--conditions=@postern/source', '--disable-warning=ExperimentalWarning']
  const { stdout } = await promisify(execFile)(
    environment.node,
    [...options, ...flags, '--expose-gc', PROGRAM],
    { timeout: MS_MAX, env: { PATH: environment.path, ...env } },
  )
  return JSON.parse(stdout)
}
