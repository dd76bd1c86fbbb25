import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../../services/cli/src/main.ts', import.meta.url))
const RUN_MS_MAX = 30_000

export type Outcome = { readonly code: number; readonly stdout: string; readonly stderr: string }

export const TOKEN = 'ptk_kept_by_the_command_line'

/** The `postern` program, with a home of its own and nothing else of the environment. */
export function createCli(server: { url: string; ca: string }) {
  const home = mkdtempSync(join(tmpdir(), 'postern-cli-'))
  const configFile = join(home, 'postern', 'config.json')
  const caFile = join(home, 'ca.crt')
  writeFileSync(caFile, server.ca)

  async function runWith(
    variables: Readonly<Record<string, string>>,
    args: readonly string[],
    input = '',
  ): Promise<Outcome> {
    const options = ['--conditions=@postern/source', '--disable-warning=ExperimentalWarning', MAIN]
    const child = spawn(process.execPath, [...options, ...args], {
      cwd: home,
      env: { HOME: home, NO_COLOR: '1', ...variables },
      timeout: RUN_MS_MAX,
    })
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    const ended = new Promise<number>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code) => resolve(code ?? -1))
    })
    const [code, stdout, stderr] = await Promise.all([
      ended,
      text(child.stdout),
      text(child.stderr),
    ])
    return { code, stdout, stderr }
  }

  const kept = { POSTERN_CLI_CONFIG: configFile }
  return {
    home,
    configFile,
    caFile,
    runWith,
    /** Signed in by the environment. */
    run: async (args: readonly string[], input?: string) =>
      await runWith(
        { POSTERN_CLI_URL: server.url, POSTERN_CLI_CA_FILE: caFile, POSTERN_CLI_TOKEN: TOKEN },
        args,
        input,
      ),
    /** Signed in, or not, by the file that `postern login` keeps. */
    runKept: async (args: readonly string[], input?: string) => await runWith(kept, args, input),
    remove: () => rmSync(home, { recursive: true, force: true }),
  }
}

export type Cli = ReturnType<typeof createCli>
