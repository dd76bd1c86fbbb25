import type { Command } from 'commander'
import { segment, textOf, withQuery } from '../api.ts'
import { parseDuration, say, show, signedIn } from '../context.ts'
import type { Column } from '../output/format.ts'
import { writePrivateFile } from '../private-file.ts'

const TOKEN: readonly Column[] = [
  ['ID', (token) => textOf(token['id'])],
  ['USER', (token) => textOf(token['userName'])],
  ['DESCRIPTION', (token) => textOf(token['description'])],
  ['UNTIL', (token) => textOf(token['expiresAt'])],
]

export function addTokenCommands(program: Command): void {
  const token = program.command('token').description('bearer tokens')
  token
    .command('create')
    .description('print a new token; it is shown only now')
    .option('--user <user>', 'for this user; yourself when left out', '')
    .option('--lifetime <time>', 'at most 12h', '12h')
    .option('--description <text>', 'what it is for', '')
    .action(async (options: { user: string; lifetime: string; description: string }) => {
      const { user, description } = options
      const lifetime = parseDuration(options.lifetime)
      const made = await signedIn().call('POST', '/v1/tokens', { user, description, lifetime })
      say(textOf(made['secret']))
    })
  token
    .command('list')
    .description('your tokens, without their secrets')
    .option('--user <user>', 'of this user; * for everyone')
    .action(async ({ user }: { user?: string }, command: Command) => {
      show(command, await signedIn().all('/v1/tokens', 'tokens', { user }), TOKEN)
    })
  token
    .command('delete <token>')
    .alias('revoke')
    .description('refuse it from now on, by id')
    .action(async (id: string) => {
      await signedIn().call('DELETE', `/v1/tokens/${segment(id)}`)
      say(`token ${id} is revoked`)
    })
}

export function addKubeconfig(program: Command): void {
  program
    .command('kubeconfig [cluster]')
    .description(
      'print a kubeconfig with a token of its own, for one cluster or all that you may use',
    )
    .option('--file <file>', 'write it here, readable by you alone')
    .action(async (cluster: string | undefined, { file }: { file?: string }) => {
      const text = await signedIn().text(withQuery('/v1/kubeconfig', { cluster }))
      if (file === undefined) {
        process.stdout.write(text)
        return
      }
      writePrivateFile(file, text)
      say(`written: kubectl --kubeconfig ${file} get pods`)
    })
}
