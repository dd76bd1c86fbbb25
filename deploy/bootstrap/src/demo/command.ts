import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'

export type Outcome = { readonly code: number; readonly stdout: string; readonly stderr: string }

/** A program with arguments and an environment that are always the same. */
export type Command = {
  run(args: readonly string[], input?: string): Promise<Outcome>
  /** Answers standard output. @throws Error with what the program said */
  ok(args: readonly string[], input?: string): Promise<string>
}

const RUN_MS_MAX = 60_000

export function createCommand(options: {
  /** What it is called in errors. */
  name: string
  program: string
  args: readonly string[]
  env: Readonly<Record<string, string | undefined>>
}): Command {
  const { name, program, env } = options
  const run = async (args: readonly string[], input = ''): Promise<Outcome> => {
    const child = spawn(program, [...options.args, ...args], { env, timeout: RUN_MS_MAX })
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
      if (code !== 0) throw new Error(`${name} ${args.join(' ')} (${code}): ${stderr.trim()}`)
      return stdout
    },
  }
}
