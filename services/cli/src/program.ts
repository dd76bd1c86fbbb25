import { Command } from 'commander'
import { addAuditCommands } from './commands/audit-commands.ts'
import {
  addClusterCommands,
  addKubeconfig,
  addSessionCommands,
  addTokenCommands,
} from './commands/cluster-commands.ts'
import { addDirectoryCommands } from './commands/directory-commands.ts'
import { addPolicyCommands } from './commands/policy-commands.ts'
import { addRebuild } from './commands/rebuild-command.ts'
import { addSignInCommands } from './commands/sign-in-commands.ts'
import { completionScript, SHELLS } from './completion.ts'
import { FORMATS } from './output/format.ts'

/** Every command. None does anything before it is called. */
export function createProgram(): Command {
  const program = new Command('postern')
    .description('Zero-trust access to the API of every Kubernetes cluster that a company runs')
    .option('-o, --output <format>', FORMATS.join(', '))
    .showHelpAfterError()
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
