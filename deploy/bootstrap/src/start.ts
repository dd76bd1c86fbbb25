// npm start: the whole of Postern on this machine, until Ctrl-C.
import { createWriteStream, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLog, flushTelemetry, type Log } from '@postern/telemetry'
import { environment } from './config.ts'
import { buildDemoCluster } from './demo/demo-cluster.ts'
import { kubeconfigFor, prepareDemoUser } from './demo/demo-user.ts'
import { signInAdministrator } from './platform/administrator.ts'
import { mebibytes, memoryOfTree } from './platform/memory.ts'
import { startPlatform } from './platform/start-platform.ts'
import { printedSteps } from './platform/step.ts'
import { createInterruption } from './program/interruption.ts'
import { claimDataFolder } from './start/data-folder.ts'
import { instructions } from './start/instructions.ts'
import { HELP, parseStartOptions, type StartOptions } from './start/options.ts'
import { startCluster } from './start/start-cluster.ts'

const DEMO = { user: 'demo', group: 'developers', grant: 'developers-demo', label: { env: 'demo' } }

const began = performance.now()
const say = (line: string) => void process.stdout.write(`${line}\n`)
const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`
const interruption = createInterruption()
void interruption.happened.then(() => say('\nstopping …'))

try {
  const options = parseStartOptions({
    args: process.argv.slice(2),
    dataDir: environment.dataDir,
    found: environment.startCluster,
    isFile: existsSync,
  })
  if (options.help) say(HELP)
  else await runUntilInterrupted(options)
} catch (error) {
  process.exitCode = 1
  process.stderr.write(`\n${withCauses(error)}\n`)
}
// A program that was building the demo cluster may be under way.
process.exit()

async function runUntilInterrupted(options: StartOptions): Promise<void> {
  const folder = await claimDataFolder(options)
  const logFile = join(options.dir, 'postern.log')
  const log = createLog({ name: 'postern', stream: createWriteStream(logFile, { flags: 'a' }) })
  const stops: (() => Promise<void>)[] = [() => flushTelemetry()]
  try {
    await start(options, { log, logFile, stops })
    await interruption.happened
  } catch (error) {
    // What was under way when the end was asked for may fail in any way.
    if (interruption.signal.aborted) return
    say(`\nThe log of this run: ${logFile}`)
    throw error
  } finally {
    const since = performance.now()
    for (const stop of stops.toReversed())
      await stop().catch((error: unknown) => say(withCauses(error)))
    folder.release()
    say(`stopped after ${seconds(since)}`)
  }
}

async function start(
  options: StartOptions,
  { log, logFile, stops }: { log: Log; logFile: string; stops: (() => Promise<void>)[] },
): Promise<void> {
  const { dir } = options
  const step = interruption.orStop(printedSteps(say))
  // Building the cluster's program the first time takes minutes: meanwhile the rest starts.
  const building = options.cluster === 'built' ? interruption.race(buildDemoCluster()) : undefined
  building?.catch(() => {})
  const platform = await startPlatform({ dir: join(dir, 'platform'), log, step })
  stops.push(() => platform.stop())
  const admin = await step('administrator', () => signInAdministrator(platform))
  const { api, passwordFile } = admin
  const ca = readFileSync(platform.secrets.webCaFile, 'utf8')
  const signIn = { url: platform.apiUrl, ca, token: api.token }
  writeSecretFile(join(dir, 'cli.json'), JSON.stringify(signIn, undefined, 2))
  const programs =
    building && (await step('program of the demo cluster, compiled once', () => building))
  const memory = memoryOfTree(process.pid)

  const { label: labels } = DEMO
  const started = (stop: () => Promise<void>) => void stops.push(stop)
  const cluster = await startCluster({ options, programs, api, labels, step, say, log, started })
  if (cluster !== undefined) {
    await step('demo user and kubeconfig', async () => {
      await prepareDemoUser(api, DEMO)
      writeSecretFile(join(dir, 'kubeconfig'), await kubeconfigFor(api, DEMO.user, cluster.name))
      const script = `#!/bin/sh\nexec '${cluster.kubectlProgram}' "$@"\n`
      writeFileSync(join(dir, 'kubectl'), script, { mode: 0o755 })
    })
  }
  const used = memory === undefined ? '' : `, in ${mebibytes(memory)} (without a cluster)`
  say(`\nPostern runs after ${seconds(began)}${used}.`)
  say(instructions({ ...platform, dir, passwordFile, logFile, cluster, demo: DEMO }))
}

function writeSecretFile(file: string, text: string): void {
  writeFileSync(file, text, { mode: 0o600 })
}

/** The error and what caused it, one line each. */
function withCauses(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause === undefined ? '' : `\n  because: ${withCauses(error.cause)}`
  return error.message + cause
}
