import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const NODE_OPTIONS = ['--conditions=@postern/source', '--disable-warning=ExperimentalWarning']
const END_MS_MAX = 60_000

/** A program of ours as a process of its own, told only these settings. */
export type ServiceProcess = {
  readonly pid: number
  output(): string
  readonly ended: Promise<number | null>
  kill(signal?: NodeJS.Signals): Promise<void>
}

type SpawnOptions = {
  readonly args?: readonly string[]
  /** A shell's line before "exec", for limits. */
  readonly limits?: string
}

/** By its own main.ts. */
export function spawnService(
  service: string,
  env: Readonly<Record<string, string>>,
  options: SpawnOptions = {},
): ServiceProcess {
  return spawnProgram(`services/${service}/src/main.ts`, env, options)
}

/** `file` is relative to the root. */
export function spawnProgram(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
  options: SpawnOptions = {},
): ServiceProcess {
  const command = [process.execPath, ...NODE_OPTIONS, ROOT + file, ...(options.args ?? [])]
  const child: ChildProcess =
    options.limits === undefined
      ? spawn(command[0] ?? '', command.slice(1), { env })
      : spawn('/bin/sh', ['-c', `${options.limits}; exec "$@"`, 'sh', ...command], { env })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
  }
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  return {
    pid: child.pid ?? 0,
    output: () => text,
    ended,
    async kill(signal = 'SIGKILL') {
      child.kill(signal)
      await ended
    },
  }
}

/** Runs it to its end, which a service that starts does not reach. */
export async function runService(
  service: string,
  env: Readonly<Record<string, string>>,
  args: readonly string[] = [],
): Promise<{ readonly code: number | null | 'still running'; readonly output: string }> {
  const child = spawnService(service, env, { args })
  const late = setTimeout(() => void child.kill(), END_MS_MAX)
  const code = await child.ended
  clearTimeout(late)
  return { code: code ?? 'still running', output: child.output() }
}
