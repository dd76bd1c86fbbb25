import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { environment } from '../config.ts'
import type { Outcome } from '../demo/kubectl.ts'

/** The `postern` command line, signed in as somebody. */
export type Cli = {
  run(args: readonly string[], input?: string): Promise<Outcome>
  /** Answers standard output. @throws Error with what it said */
  ok(args: readonly string[], input?: string): Promise<string>
}

const RUN_MS_MAX = 60_000

export function createCli(signIn: {
  dir: string
  name: string
  url: string
  ca: string
  token: string
}): Cli {
  const { dir, name, url, ca, token } = signIn
  const configFile = join(dir, `cli-${name}.json`)
  writeFileSync(configFile, JSON.stringify({ url, ca, token }), { mode: 0o600 })
  const program = join(environment.root, 'services/cli/src/main.ts')
  const options = ['--conditions=@postern/source', '--disable-warning=ExperimentalWarning', program]
  const env = { ...environment.variables, POSTERN_CLI_CONFIG: configFile }

  const run = async (args: readonly string[], input = ''): Promise<Outcome> => {
    const child = spawn(environment.node, [...options, ...args], { env, timeout: RUN_MS_MAX })
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
      if (code !== 0) throw new Error(`postern ${args.join(' ')} (${code}): ${stderr.trim()}`)
      return stdout
    },
  }
}
