import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { environment } from '../config.ts'
import { type Command, createCommand } from '../demo/command.ts'

/** The `postern` command line, signed in as somebody. */
export type Cli = Command

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
  const main = join(environment.root, 'services/cli/src/main.ts')
  return createCommand({
    name: 'postern',
    program: environment.node,
    args: ['--conditions=@postern/source', '--disable-warning=ExperimentalWarning', main],
    env: { ...environment.variables, POSTERN_CLI_CONFIG: configFile },
  })
}
