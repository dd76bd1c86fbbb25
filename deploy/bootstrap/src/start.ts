import {
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createLog } from '@postern/telemetry'
import pc from 'picocolors'
import { environment } from './config.ts'
import { buildDemoCluster, joinCluster, startDemoCluster } from './demo/demo-cluster.ts'
import { kubeconfigFor, prepareDemoUser } from './demo/demo-user.ts'
import { signInAdministrator } from './platform/administrator.ts'
import { mebibytes, memoryOfTree } from './platform/memory.ts'
import { type Platform, startPlatform } from './platform/start-platform.ts'
import { printedSteps } from './platform/step.ts'

const HELP = `npm start: the whole of Postern on this machine, with a demo cluster

  npm start                     start, or start again with the data of the last run
  npm start -- --fresh          forget everything first
  npm start -- --no-cluster     without the demo cluster
  npm start -- --dir DIR        keep the data there instead of .postern

Ctrl-C stops everything in order. The data stays.`

const DEMO = { user: 'demo', group: 'developers', cluster: 'demo', label: { env: 'demo' } }

const began = performance.now()
const say = (line: string) => void process.stdout.write(`${line}\n`)
const step = printedSteps(say)

const { values } = parseArgs({
  options: {
    fresh: { type: 'boolean', default: false },
    cluster: { type: 'boolean', default: true },
    dir: { type: 'string', default: environment.dataDir },
    help: { type: 'boolean', default: false },
  },
  allowNegative: true,
})

if (values.help) say(HELP)
else await main()

async function main(): Promise<void> {
  const { dir } = values
  if (values.fresh) rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  claim(dir)
  const logFile = join(dir, 'postern.log')
  const log = createLog({ name: 'postern', stream: createWriteStream(logFile, { flags: 'a' }) })
  const stops: (() => Promise<void>)[] = []
  const stopped = stopOnce(stops, dir)
  process.on('SIGINT', () => void stopped())
  process.on('SIGTERM', () => void stopped())
  try {
    // Building the cluster's program the first time takes minutes: meanwhile the rest starts.
    const building = values.cluster ? buildDemoCluster() : undefined
    building?.catch(() => {})
    const platform = await startPlatform({ dir: join(dir, 'platform'), log, step })
    stops.push(() => platform.stop())
    const admin = await step('administrator', () => signInAdministrator(platform))
    writeCliConfig(platform, dir, admin.api)
    const memory = memoryOfTree(process.pid)
    if (building !== undefined) await startDemo(building, admin.api, stops)
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    say('')
    say(
      `Postern runs after ${seconds} s${memory === undefined ? '' : `, in ${mebibytes(memory)} (without the demo cluster)`}.`,
    )
    say(instructions(platform, dir, admin.passwordFile, logFile, building !== undefined))
  } catch (error) {
    process.stderr.write(`\n${messageOf(error)}\n`)
    process.exitCode = 1
    await stopped()
  }
}

async function startDemo(
  building: ReturnType<typeof buildDemoCluster>,
  api: Parameters<typeof prepareDemoUser>[0],
  stops: (() => Promise<void>)[],
): Promise<void> {
  const { dir } = values
  const programs = await step('program of the demo cluster', () => building)
  const cluster = await step('demo cluster', () =>
    startDemoCluster({ dir: join(dir, 'cluster'), programs }),
  )
  stops.push(() => cluster.stop())
  const { label: labels, cluster: name } = DEMO
  await step('joining it', () =>
    joinCluster({
      api,
      kubectl: cluster.kubectl,
      name,
      labels,
      installLevel: 'INSTALL_LEVEL_EDIT',
    }),
  )
  await step('demo user and kubeconfig', async () => {
    await prepareDemoUser(api, DEMO)
    const text = await kubeconfigFor(api, DEMO.user, name)
    writeFileSync(join(dir, 'kubeconfig'), text, { mode: 0o600 })
    writeFileSync(join(dir, 'kubectl'), `#!/bin/sh\nexec '${programs.kubectl}' "$@"\n`, {
      mode: 0o755,
    })
  })
}

function instructions(
  platform: Platform,
  dir: string,
  passwordFile: string,
  logFile: string,
  hasCluster: boolean,
): string {
  const kubectl = `kubectl --kubeconfig ${join(dir, 'kubeconfig')}`
  const postern = 'npx postern'
  const lines = [
    `  API       ${platform.apiUrl} (OpenAPI at /openapi.json)`,
    `  gateway   ${platform.gatewayUrl}/clusters/<cluster>`,
    `  log       ${logFile}`,
    `  password  of admin: ${passwordFile}`,
    '',
    'As the administrator:',
    `  export POSTERN_CLI_CONFIG=${join(dir, 'cli.json')}`,
    `  ${postern} whoami`,
    `  ${postern} audit tail`,
  ]
  if (!hasCluster) {
    return [
      ...lines,
      `  ${postern} cluster create NAME && ${postern} cluster join NAME | kubectl apply -f -`,
    ].join('\n')
  }
  return [
    ...lines,
    `  ${postern} grant delete ${DEMO.group}-demo      # cuts what runs under it`,
    '',
    `As the user "${DEMO.user}" (any kubectl; ${join(dir, 'kubectl')} is one):`,
    `  ${kubectl} get pods -A`,
    `  ${kubectl} create deployment web --image=web`,
    `  ${kubectl} exec -it deploy/web -- sh`,
    `  ${kubectl} auth whoami`,
    '',
    pc.dim('Ctrl-C stops everything; the data stays for the next start.'),
  ].join('\n')
}

/** The administrator's sign-in for the command line, beside the data. */
function writeCliConfig(platform: Platform, dir: string, api: { token: string | undefined }): void {
  const ca = readFileSync(platform.secrets.webCaFile, 'utf8')
  const signIn = { url: platform.apiUrl, ca, token: api.token }
  writeFileSync(join(dir, 'cli.json'), JSON.stringify(signIn, undefined, 2), { mode: 0o600 })
}

/** One run per folder: two would write over each other. */
function claim(dir: string): void {
  const file = join(dir, 'pid')
  const former = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0
  if (former > 0 && isAlive(former)) {
    process.stderr.write(`Postern runs already on ${dir} (process ${former}); stop it first\n`)
    process.exit(1)
  }
  writeFileSync(file, String(process.pid))
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function stopOnce(stops: (() => Promise<void>)[], dir: string): () => Promise<void> {
  let stopping: Promise<void> | undefined
  return () => {
    stopping ??= (async () => {
      const since = performance.now()
      say('\nstopping …')
      for (const stop of stops.toReversed()) await stop()
      rmSync(join(dir, 'pid'), { force: true })
      say(`stopped after ${((performance.now() - since) / 1000).toFixed(1)} s`)
      process.exit()
    })()
    return stopping
  }
}

/** The error and what caused it, one line each. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause === undefined ? '' : `\n  because: ${messageOf(error.cause)}`
  return error.message + cause
}
