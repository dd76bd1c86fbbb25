import { createWriteStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildDemoCluster, bundleParts, printedSteps, startServers } from '@postern/bootstrap'
import { createClosingStack } from '@postern/lifecycle'
import { createLog } from '@postern/telemetry'
import { buildPeers } from './build-peers.ts'
import { type LoadLine, loadLines } from './lines/load-lines.ts'
import { measureLoads } from './lines/measure-loads.ts'
import { HELP, type Options, parseOptions } from './options.ts'
import { sharePriority } from './processes.ts'
import { loadTable } from './report/load-table.ts'
import { openStacks } from './stacks/open-stacks.ts'
import { FEW, POPULATION } from './stacks/population.ts'
import { agentCommand, SHIPPED } from './stacks/postern.ts'
import { STACKS, type Stack, type StackName } from './stacks/stack.ts'
import { startUpstream } from './stacks/upstream.ts'

const say = (line: string) => void process.stdout.write(`${line}\n`)

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
process.exit()

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2))
  if (options === undefined) {
    say(HELP)
    return 0
  }
  const dir = mkdtempSync(join(tmpdir(), 'ptb-'))
  const log = createLog({ name: 'bench', stream: createWriteStream(join(dir, 'bench.log')) })
  await using closing = createClosingStack({ log, stepMsMax: 30_000 })
  closing.defer('folder', () => rmSync(dir, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => void closing.close().then(() => process.exit(1)))
  }
  const lines = chosenLines(options)
  const step = printedSteps(say)
  const programs = await step('program of the cluster', () => buildDemoCluster())
  const peers = await step('peers', async () => buildPeers())
  const bundles = join(dir, 'images')
  await step('bundles', async () => bundleParts(bundles, SHIPPED))
  const servers = await startServers({
    dir: join(dir, 'platform'),
    step,
    closing,
    logLevel: 'warn',
  })
  const { secrets } = servers
  const world = { dir, peers, kubectl: programs.kubectl, step, closing }
  const web = { cert: secrets.webCertFile, key: secrets.webKeyFile, ca: secrets.webCaFile }
  const { upstream, kubectl } = await startUpstream(world, {
    programs,
    agentCommand: (kubernetes) => agentCommand(bundles, kubernetes),
  })
  const population = options.quick ? FEW : POPULATION
  const opened = await openStacks(
    { ...world, web, upstream },
    { wanted: wantedStacks(options, lines), servers, bundles, kubectl, population },
  )
  const parts = [...opened.stacks.values()].flatMap(({ hops, beside }) => [...hops, ...beside])
  sharePriority([upstream.pid, ...parts.map(({ pid }) => pid)])
  for (const note of opened.notes) say(`- ${note}`)
  if (options.hold) return await hold(opened.stacks)
  const measured = await measureLoads({ peers, upstream }, { lines, opened, options, say })
  for (const line of lines) say(`\n${loadTable(line, measured)}`)
  if (options.json !== undefined) {
    writeFileSync(options.json, `${JSON.stringify(measured, undefined, 2)}\n`)
  }
  return 0
}

/** @throws Error when one is not known */
function chosenLines({ only }: Options): readonly LoadLine[] {
  if (only === undefined) return loadLines
  return only.map((id) => {
    const line = loadLines.find((one) => one.id === id)
    if (line !== undefined) return line
    throw new Error(`no line "${id}"; there are: ${loadLines.map((one) => one.id).join(', ')}`)
  })
}

function wantedStacks({ stacks }: Options, lines: readonly LoadLine[]): ReadonlySet<StackName> {
  for (const name of stacks ?? []) {
    if (!Object.hasOwn(STACKS, name)) {
      throw new Error(`no stack "${name}"; there are: ${Object.keys(STACKS).join(', ')}`)
    }
  }
  const named = lines.flatMap((line) => line.stacks)
  return new Set(named.filter((name) => stacks === undefined || stacks.includes(name)))
}

/** For a profiler, or a load of one's own. */
async function hold(stacks: ReadonlyMap<StackName, Stack>): Promise<number> {
  for (const { name, address, prefix, caFile, tokensFile, hops } of stacks.values()) {
    say(`\n${name}: ${address}${prefix}`)
    if (caFile !== undefined) say(`  authority ${caFile}`)
    if (tokensFile !== undefined) say(`  tokens    ${tokensFile}`)
    for (const hop of hops) say(`  ${hop.name.padEnd(9)} process ${hop.pid}`)
  }
  say('\nCtrl-C ends it')
  return await new Promise<never>(() => {})
}
