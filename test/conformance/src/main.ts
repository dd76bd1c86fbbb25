import { existsSync, readFileSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { type Interruption, runProgram, UsageError } from '@postern/bootstrap'
import { messageOf } from '@postern/errors'
import { caseChecks } from './cases.ts'
import type { Check } from './check.ts'
import { builtInChecks, wordedChecks } from './checks.ts'
import { environment } from './config.ts'
import { HELP, type Options, parseOptions } from './options.ts'
import { jsonReport, textReport } from './report.ts'
import { runChecks } from './run-checks.ts'
import { vectorChecks } from './vectors.ts'
import { createWorlds } from './worlds.ts'

const SEED_MAX = 0x7fffffff
const write = (text: string) => void process.stdout.write(text)

await runProgram(main)

async function main(args: readonly string[], interruption: Interruption): Promise<number> {
  const options = parseOptions(args, Date.now() & SEED_MAX)
  if (options.help) {
    write(HELP)
    return 0
  }
  const checks = chosen(allChecks(options), options.only)
  if (options.list) {
    for (const { id, title } of checks) write(`${id}: ${title}\n`)
    return 0
  }
  const report = options.json ? jsonReport(write) : textReport(write, checks.length)
  const worlds = createWorlds({
    say: (text) => options.json || write(`== ${text}\n`),
    step: interruption.orStop((_name, work) => work()),
  })
  const run = async () => {
    for await (const result of runChecks(checks, worlds)) {
      interruption.signal.throwIfAborted()
      report.result(result)
    }
  }
  try {
    await interruption.race(run())
  } finally {
    await worlds.stop()
  }
  return report.end(options) ? 0 : 1
}

function allChecks(options: Options): Check[] {
  const { vectors, cases } = options
  if (vectors.length === 0 && cases.length === 0) return builtInChecks(options)
  return [
    ...vectors.flatMap((file) => vectorChecks(nameOf(file), contentOf(file))),
    ...cases.flatMap((file) => caseChecks(nameOf(file), contentOf(file), wordedChecks(options))),
  ]
}

/** @throws UsageError where nothing is left, which would pass for success */
function chosen(checks: readonly Check[], only: readonly string[]): readonly Check[] {
  if (only.length === 0) return checks
  const exact = checks.filter(({ id }) => only.includes(id))
  const found =
    exact.length > 0 ? exact : checks.filter(({ id }) => only.some((start) => id.startsWith(start)))
  if (found.length > 0) return found
  throw new UsageError(`nothing has the id ${only.join(' or ')}: --list says what there is`)
}

/** @throws UsageError for a file that cannot be read */
function contentOf(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : pathOf(file), 'utf8')
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${messageOf(error)}`)
  }
}

function nameOf(file: string): string {
  return file === '-' ? 'stdin.jsonl' : file
}

/** As the person meant it: from where it was typed, else from the repository's own folder. */
function pathOf(file: string): string {
  if (isAbsolute(file)) return file
  const there = join(environment.startedIn, file)
  return existsSync(there) ? there : join(environment.root, file)
}
