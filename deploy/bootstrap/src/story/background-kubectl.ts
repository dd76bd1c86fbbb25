import { spawn } from 'node:child_process'
import { environment } from '../config.ts'
import type { Outcome } from '../demo/command.ts'
import { StoryError } from './expect.ts'

/** A kubectl that runs while the story goes on. */
export type BackgroundKubectl = {
  readonly ended: Promise<Outcome & { readonly at: number }>
  stdout(): string
  stderr(): string
  write(text: string): void
  /** Answers the output once it holds the text. @throws StoryError when it ends or takes too long */
  untilOutput(wanted: string | RegExp): Promise<string>
  kill(): Promise<void>
}

const OUTPUT_MS_MAX = 20_000
const RUN_MS_MAX = 120_000

export function startKubectl(options: {
  program: string
  kubeconfig: string
  cacheDir: string
  args: readonly string[]
  input?: string
  /** Standard input stays open, for `write`. */
  keepStdinOpen?: boolean
  env?: Readonly<Record<string, string>>
}): BackgroundKubectl {
  const child = spawn(options.program, ['--cache-dir', options.cacheDir, ...options.args], {
    env: { ...environment.variables, ...options.env, KUBECONFIG: options.kubeconfig },
    timeout: RUN_MS_MAX,
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  child.stdin.on('error', () => {})
  if (options.keepStdinOpen !== true) child.stdin.end(options.input ?? '')
  const ended = new Promise<Outcome & { at: number }>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code: code ?? 1, stdout, stderr, at: performance.now() }))
  })
  ended.catch(() => {})
  const matches = (wanted: string | RegExp) =>
    typeof wanted === 'string' ? stdout.includes(wanted) : wanted.test(stdout)
  return {
    ended,
    stdout: () => stdout,
    stderr: () => stderr,
    write: (text) => void child.stdin.write(text),
    async untilOutput(wanted) {
      const deadline = performance.now() + OUTPUT_MS_MAX
      while (!matches(wanted)) {
        if (child.exitCode !== null || performance.now() > deadline) {
          throw new StoryError(
            `kubectl ${options.args.join(' ')} did not print ${String(wanted)}: ${stdout} ${stderr}`,
          )
        }
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      return stdout
    },
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** Runs kubectl on a pseudo-terminal of util-linux's script(1), and answers what it shows. */
export async function runTerminal(options: {
  program: string
  kubeconfig: string
  cacheDir: string
  args: readonly string[]
  env: Readonly<Record<string, string>>
}): Promise<string> {
  const { program, kubeconfig, cacheDir, args, env } = options
  const quoted = [program, '--cache-dir', cacheDir, ...args]
    .map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`)
    .join(' ')
  const child = spawn('script', ['-qec', `stty rows 30 cols 100; ${quoted}`, '/dev/null'], {
    env: { ...environment.variables, ...env, KUBECONFIG: kubeconfig },
    timeout: RUN_MS_MAX,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let shown = ''
  child.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString()
  })
  const code = await new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) => resolve(status ?? 1))
  })
  // script(1) passes the end of its own input on as a character, at no certain moment.
  return `rc=${code}\n${shown.replaceAll('^@', '').replaceAll('\r', '')}`
}
