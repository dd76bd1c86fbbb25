import { readFileSync } from 'node:fs'
import { Command, Option } from 'commander'
import { textOf, toObject } from './api.ts'
import { addAuditCommands } from './commands/audit-commands.ts'
import { addClusterCommands } from './commands/cluster-commands.ts'
import { addDirectoryCommands } from './commands/directory-commands.ts'
import { addPolicyCommands } from './commands/policy-commands.ts'
import { addRebuild } from './commands/rebuild-command.ts'
import { addSessionCommands } from './commands/session-commands.ts'
import { addSignInCommands } from './commands/sign-in-commands.ts'
import { addKubeconfig, addTokenCommands } from './commands/token-commands.ts'
import { completionScript, SHELLS } from './completion.ts'
import { FORMATS } from './output/format.ts'

/** Every command. None does anything before it is called. */
export function createProgram(): Command {
  // First of all: commands take over how their parent ends and what it shows after an error.
  const program = new Command('postern')
    .exitOverride()
    .showHelpAfterError('(add --help for what there is)')
    .description('Zero-trust access to the API of every Kubernetes cluster that a company runs')
    .version(readVersion(), '-V, --version', 'print the version')
    .addOption(
      new Option('-o, --output <format>', 'for people or for programs')
        .choices(FORMATS)
        .default('table'),
    )
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 refused or not verified, 2 wrong usage, 3 sign in first, 4 Postern cannot be reached or failed.',
    )
  addSignInCommands(program)
  addDirectoryCommands(program)
  addPolicyCommands(program)
  addClusterCommands(program)
  addSessionCommands(program)
  addTokenCommands(program)
  addKubeconfig(program)
  addAuditCommands(program)
  addRebuild(program)
  program
    .command('completion <shell>')
    .description(`print a completion script for ${SHELLS.join(', ')}`)
    .action((shell: string) => {
      process.stdout.write(completionScript(program, shell))
    })
  return program
}

function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return textOf(toObject(JSON.parse(text))['version'])
}
