import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, startChild, tail } from '@postern/local-servers'
import type { Log } from '@postern/telemetry'
import { environment } from '../config.ts'
import type { KubeEndpoint } from './kube-endpoint.ts'
import type { Kubectl } from './kubectl.ts'
import { keepServiceAccountFolder } from './service-account-folder.ts'

const AGAIN_MS = 2_000
const FOLDER = join(environment.root, 'services/agent/src')

export type LocalAgent = {
  lastWords(): string
  stop(): Promise<void>
}

/**
 * An agent beside its cluster instead of in it: a process of this machine with the settings and the
 * service account that its pod would have. Started again when it ends, as a kubelet does it.
 */
export async function startLocalAgent(options: {
  dir: string
  kubectl: Kubectl
  endpoint: KubeEndpoint
  log: Log
}): Promise<LocalAgent> {
  const { dir, kubectl, endpoint, log } = options
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const account = await keepServiceAccountFolder({
    dir: join(dir, 'service-account'),
    kubectl,
    ca: endpoint.ca,
    log,
  })
  const env = {
    ...(await settingsInCluster(kubectl)),
    PATH: environment.path,
    POSTERN_AGENT_SERVICE_ACCOUNT_DIR: account.dir,
    POSTERN_AGENT_KUBERNETES: endpoint.address,
  }
  const logFile = join(dir, 'agent.log')
  let child: Child | undefined
  let again: NodeJS.Timeout | undefined
  let isStopping = false

  function run(): void {
    child = startChild({
      command: environment.node,
      args: fromSources(dir),
      env,
      logFile,
      pidFile: join(dir, 'agent.pid'),
    })
    child.process.once('exit', (code, signal) => {
      if (isStopping) return
      log.warn({ code, signal }, 'the agent has ended, and is started again')
      again = setTimeout(run, AGAIN_MS)
    })
  }

  run()
  return {
    lastWords: () => tail(logFile),
    async stop() {
      isStopping = true
      clearTimeout(again)
      account.stop()
      await child?.stop()
    },
  }
}

function fromSources(dir: string): string[] {
  return [
    '--conditions=@postern/source',
    '--disable-warning=ExperimentalWarning',
    // Reports of Node go there; and the folder on its command line tells whose agent it is.
    `--diagnostic-dir=${dir}`,
    '--import',
    join(FOLDER, 'telemetry.ts'),
    join(FOLDER, 'main.ts'),
  ]
}

/** What the manifest put there for the pod: a ConfigMap, and the token for the first time. */
async function settingsInCluster(kubectl: Kubectl): Promise<Record<string, string>> {
  const get = (kind: string, name: string) =>
    ['get', kind, name, '-n', 'postern-system', '-o', 'json', '--ignore-not-found'] as const
  const settings = dataOf(await kubectl.ok(get('configmap', 'postern-agent')))
  const { token } = dataOf(await kubectl.ok(get('secret', 'postern-agent-join')))
  if (token === undefined) return settings
  return { ...settings, POSTERN_AGENT_JOIN_TOKEN: Buffer.from(token, 'base64').toString() }
}

function dataOf(text: string): Record<string, string> {
  if (text.trim() === '') return {}
  const parsed: unknown = JSON.parse(text)
  const data = typeof parsed === 'object' && parsed !== null && 'data' in parsed ? parsed.data : {}
  if (typeof data !== 'object' || data === null) return {}
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, String(value)]))
}
