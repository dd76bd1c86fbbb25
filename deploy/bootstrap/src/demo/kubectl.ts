import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { environment } from '../config.ts'

export type Outcome = { readonly code: number; readonly stdout: string; readonly stderr: string }

/** A kubectl with one kubeconfig, and a cache of its own. */
export type Kubectl = {
  run(args: readonly string[], input?: string): Promise<Outcome>
  /** Answers standard output. @throws Error with what kubectl said */
  ok(args: readonly string[], input?: string): Promise<string>
}

const RUN_MS_MAX = 60_000

export function createKubectl(options: {
  program: string
  kubeconfig: string
  cacheDir: string
}): Kubectl {
  const env = { ...environment.variables, KUBECONFIG: options.kubeconfig }
  const run = async (args: readonly string[], input = ''): Promise<Outcome> => {
    const child = spawn(options.program, ['--cache-dir', options.cacheDir, ...args], {
      env,
      timeout: RUN_MS_MAX,
    })
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    const ended = new Promise<number>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code) => resolve(code ?? 1))
    })
    const [code, stdout, stderr] = await Promise.all([
      ended,
      text(child.stdout),
      text(child.stderr),
    ])
    return { code, stdout, stderr }
  }
  return {
    run,
    async ok(args, input) {
      const { code, stdout, stderr } = await run(args, input)
      if (code !== 0) throw new Error(`kubectl ${args.join(' ')} (${code}): ${stderr.trim()}`)
      return stdout
    },
  }
}
