// npm run bench: Postern as it ships beside its peers, and every bar of its performance.
import {
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import {
  buildDemoCluster,
  bundleParts,
  type Interruption,
  printedSteps,
  runProgram,
  type Step,
  shippedAgentCommand,
  startServers,
} from '@postern/bootstrap'
import { type ClosingStack, createClosingStack } from '@postern/lifecycle'
import { buildGoProgram } from '@postern/local-servers'
import { createLog } from '@postern/telemetry'
import { type Choice, chooseLines } from './choice.ts'
import { environment } from './config.ts'
import { measure } from './measure.ts'
import { HELP, type Options, parseOptions } from './options.ts'
import { childrenOf, sharePriority } from './processes.ts'
import { barsOf, provenance, tablesOf, UNEQUAL } from './report/report.ts'
import { scaleTables } from './report/scale-tables.ts'
import { toText } from './report/table.ts'
import { writeDocs } from './report/write-docs.ts'
import type { Results } from './results.ts'
import { type OpenStacks, openStacks } from './stacks/open-stacks.ts'
import { FEW, POPULATION, type Population } from './stacks/population.ts'
import { SHIPPED } from './stacks/postern.ts'
import { startUpstream } from './stacks/upstream.ts'

const REPORT = join(environment.root, '.postern-bench/bench.json')

const say = (line: string) => void process.stdout.write(`${line}\n`)

await runProgram(main)

async function main(args: readonly string[], interruption: Interruption): Promise<number> {
  const options = parseOptions(args)
  if (options === undefined) {
    say(HELP)
    return 0
  }
  const results =
    options.from === undefined ? await run(options, interruption) : readResults(options.from)
  report(results, options)
  return results.failures.length === 0 ? 0 : 1
}

async function run(options: Options, interruption: Interruption): Promise<Results> {
  const choice = chooseLines(options)
  const dir = mkdtempSync(join(tmpdir(), 'ptb-'))
  const log = createLog({ name: 'bench', stream: createWriteStream(join(dir, 'bench.log')) })
  await using closing = createClosingStack({ log, stepMsMax: 30_000 })
  closing.defer('folder', () => rmSync(dir, { recursive: true, force: true }))
  const step = interruption.orStop(printedSteps(say))
  const population = options.quick ? FEW : POPULATION
  const { world, stacks, goVersion } = await open(choice, { dir, closing, population, step })
  for (const note of stacks.notes) say(`- ${note}`)
  if (options.hold) return await interruption.race(hold(stacks))
  const measuring = measure(world, {
    choice,
    stacks,
    population,
    goVersion,
    options,
    say,
    signal: interruption.signal,
  })
  return await interruption.race(measuring)
}

/** Starts everything before anything is measured. */
async function open(
  choice: Choice,
  needs: { dir: string; closing: ClosingStack; population: Population; step: Step },
) {
  const { dir, closing, population, step } = needs
  const programs = await step('program of the cluster', () => buildDemoCluster())
  const { path, toolsDir, peersSourceDir: sourceDir } = environment
  // One program that holds all peers, the upstream and the load.
  const { file: peers, goVersion } = await step('peers', () =>
    buildGoProgram({ name: 'bench-peers', sourceDir, toolsDir, path }),
  )
  const bundles = join(dir, 'images')
  await step('bundles', async () => bundleParts(bundles, SHIPPED))
  const platform = join(dir, 'platform')
  const servers = await startServers({ dir: platform, step, closing, logLevel: 'warn' })
  const { webCertFile: cert, webKeyFile: key, webCaFile: ca } = servers.secrets
  const base = { dir, peers, kubectl: programs.kubectl, step, closing }
  const { upstream, kubectl } = await startUpstream(base, {
    programs,
    agentCommand: (kubernetes) =>
      shippedAgentCommand(bundles, {
        POSTERN_AGENT_KUBERNETES: kubernetes,
        // Nobody is served any more when it is stopped.
        POSTERN_AGENT_DRAIN_SECONDS: '1',
      }),
  })
  const world = { ...base, web: { cert, key, ca }, upstream }
  const stacks = await openStacks(world, {
    wanted: choice.stacks,
    servers,
    bundles,
    kubectl,
    population,
  })
  const parts = stacks.names.flatMap((name) => {
    const { hops, beside } = stacks.get(name)
    return [...hops, ...beside]
  })
  const measured = parts.flatMap(({ pid }) => [pid, ...childrenOf(pid)])
  sharePriority([process.pid, upstream.pid, ...measured])
  return { world, stacks, goVersion }
}

function readResults(file: string): Results {
  return JSON.parse(readFileSync(file, 'utf8'))
}

function report(results: Results, { json = REPORT, from, writeDocs: isForDocs }: Options): void {
  for (const table of [...tablesOf(results), ...scaleTables(results)]) say(`\n${toText(table)}`)
  const bars = barsOf(results)
  if (bars !== undefined) say(`\n${toText(bars)}`)
  say(`\n${provenance(results)}\n${UNEQUAL}`)
  for (const note of results.notes) say(`- ${note}`)
  for (const { name, message } of results.failures) say(`- ${name} was not measured: ${message}`)
  if (from === undefined) {
    mkdirSync(dirname(json), { recursive: true })
    writeFileSync(json, `${JSON.stringify(results, undefined, 2)}\n`)
    say(`in full: ${json}`)
  }
  if (isForDocs) for (const line of writeDocs(results)) say(line)
}

/** For a profiler, or a load of one's own. */
async function hold(stacks: OpenStacks): Promise<never> {
  for (const stack of stacks.names) {
    const { name, address, prefix, caFile, tokensFile, hops } = stacks.get(stack)
    say(`\n${name}: ${address}${prefix}`)
    if (caFile !== undefined) say(`  authority ${caFile}`)
    if (tokensFile !== undefined) say(`  tokens    ${tokensFile}`)
    for (const hop of hops) say(`  ${hop.name.padEnd(9)} process ${hop.pid}`)
  }
  say('\nCtrl-C ends it')
  return await new Promise<never>(() => {})
}
