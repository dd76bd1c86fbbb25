import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Interruption, runProgram, UsageError } from '@postern/bootstrap'
import { environment } from './config.ts'
import { compatibilityDocument } from './document.ts'
import { HELP, parseOptions } from './options.ts'
import { countOf, jsonReport, textReport } from './report.ts'
import { runTools } from './run-tools.ts'
import type { Result, Tool } from './tool.ts'
import { everyTool } from './tools.ts'
import { type ClientsWorld, startClientsWorld } from './ways.ts'

const write = (text: string) => void process.stdout.write(text)

await runProgram(main)

async function main(args: readonly string[], interruption: Interruption): Promise<number> {
  const options = parseOptions(args)
  if (options.help) {
    write(HELP)
    return 0
  }
  const tools = chosen(options.only)
  if (options.list) {
    for (const { id, name, version, exercises } of tools)
      write(`${id}: ${name} ${version}, ${exercises.length} exercises\n`)
    return 0
  }
  const say = (text: string) => options.json || write(`== ${text}\n`)
  const report = options.json ? jsonReport(write) : textReport(write)
  const results: Result[] = []
  let started: Promise<ClientsWorld> | undefined
  const world = () => {
    if (started === undefined) say('starting a platform and a cluster')
    started ??= startClientsWorld(interruption.orStop((_name, work) => work()))
    return started
  }
  const play = async () => {
    for await (const result of runTools(tools, { world, say })) {
      interruption.signal.throwIfAborted()
      results.push(result)
      report.result(result)
    }
  }
  try {
    await interruption.race(play())
  } finally {
    await started?.then((running) => running.stop()).catch(() => {})
  }
  if (tools.length === everyTool.length && countOf(results, 'not-run') === 0) {
    const file = join(environment.root, 'docs/compatibility.md')
    writeFileSync(file, compatibilityDocument(tools, results))
    say('wrote docs/compatibility.md')
  }
  report.end(results)
  return countOf(results, 'passed') === results.length ? 0 : 1
}

/** @throws UsageError where nothing is left, which would pass for success */
function chosen(only: readonly string[]): readonly Tool[] {
  if (only.length === 0) return everyTool
  const found = everyTool.filter(({ id }) => only.some((start) => id.startsWith(start)))
  if (found.length > 0) return found
  throw new UsageError(`there is no client ${only.join(' or ')}: --list says what there is`)
}
