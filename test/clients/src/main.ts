import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '@postern/errors'
import { environment } from './config.ts'
import { compatibilityDocument } from './document.ts'
import { HELP, parseOptions, UsageError } from './options.ts'
import { countOf, jsonReport, textReport } from './report.ts'
import { runTools } from './run-tools.ts'
import type { Result, Tool } from './tool.ts'
import { everyTool } from './tools.ts'
import { type ClientsWorld, startClientsWorld } from './ways.ts'

const write = (text: string) => void process.stdout.write(text)
const complain = (text: string) => void process.stderr.write(text)

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  if (error instanceof UsageError) complain(`${error.message}\n`)
  else complain(`${error instanceof Error ? error.stack : messageOf(error)}\n`)
  return 2
})

async function main(args: readonly string[]): Promise<number> {
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
    started ??= startClientsWorld()
    return started
  }
  try {
    for await (const result of runTools(tools, { world, say })) {
      results.push(result)
      report.result(result)
    }
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
