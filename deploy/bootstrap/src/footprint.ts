// npm run bench:footprint: how much memory an idle Postern takes, and how long a warm start takes.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { createClosingStack } from '@postern/lifecycle'
import { createLog } from '@postern/telemetry'
import { environment } from './config.ts'
import { measurePlatform } from './footprint/measure-platform.ts'
import { measureServices } from './footprint/measure-services.ts'
import { isOver, type Row, toTable } from './footprint/table.ts'
import { printedSteps } from './platform/step.ts'
import type { Interruption } from './program/interruption.ts'
import { runProgram } from './program/run-program.ts'

const MIB = 1024 * 1024
const WANTED = { platformBytes: 700 * MIB, serviceBytes: 120 * MIB, warmStartSeconds: 15 }
const IDLE_SECONDS = 15
const REPORT = join(environment.root, '.postern-bench/footprint.json')

const say = (line: string) => void process.stdout.write(`${line}\n`)

await runProgram(main)

async function main(_args: readonly string[], interruption: Interruption): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'postern-footprint-'))
  const log = createLog({ name: 'footprint', level: 'error' })
  const step = interruption.orStop(printedSteps(say))
  await using closing = createClosingStack({ log })
  closing.defer('folder', () => rmSync(dir, { recursive: true, force: true }))
  const platform = await measurePlatform({ dir, idleSeconds: IDLE_SECONDS, step })
  const services = await measureServices({ dir, idleSeconds: IDLE_SECONDS, step, closing })

  const bytes = platform.processes.reduce((sum, one) => sum + one.bytes, 0)
  const rows: Row[] = [
    { name: 'warm start', seconds: platform.warmStartSeconds, wanted: WANTED.warmStartSeconds },
    { name: 'first start', seconds: platform.coldStartSeconds },
    { name: 'platform, one process mode', bytes, wanted: WANTED.platformBytes },
    ...platform.processes.map((one) => ({ name: `  ${one.name}`, bytes: one.bytes })),
    ...services.map((one) => ({
      name: `${one.name} alone`,
      bytes: one.residentBytes,
      wanted: WANTED.serviceBytes,
    })),
  ]
  say('')
  say(toTable(rows))
  const machine = {
    node: process.version,
    system: `${process.platform} ${process.arch}`,
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    // Of the last minute: how long a start takes on a busy machine says little.
    load: loadavg()[0] ?? 0,
  }
  mkdirSync(dirname(REPORT), { recursive: true })
  writeFileSync(
    REPORT,
    `${JSON.stringify({ machine, wanted: WANTED, platform, services }, undefined, 2)}\n`,
  )
  say(`\n${machine.cpus} processors, load ${machine.load.toFixed(1)}; in full: ${REPORT}`)
  return rows.some(isOver) ? 1 : 0
}
