import type { Command } from 'commander'
import { type Api, segment, textOf } from '../api.ts'
import { formatOf, say, show, signedIn } from '../context.ts'
import type { Column } from '../output/format.ts'
import { toItem } from './directory-commands.ts'

/** A cluster that the caller may not see any more is shown by its id. */
function columns(names: ReadonlyMap<string, string>): readonly Column[] {
  return [
    ['ID', (session) => textOf(session['id'])],
    ['USER', (session) => textOf(session['userName'])],
    ['CLUSTER', ({ clusterId }) => names.get(textOf(clusterId)) ?? textOf(clusterId)],
    ['STATE', (session) => textOf(session['state']).replace('SESSION_STATE_', '').toLowerCase()],
    ['ACCOUNT', (session) => textOf(session['account'])],
    ['OPENED', (session) => textOf(session['openedAt'])],
    ['PROBLEM', (session) => textOf(session['problem'])],
  ]
}

async function clusterNames(api: Api): Promise<ReadonlyMap<string, string>> {
  const clusters = await api.all('/v1/clusters', 'clusters')
  return new Map(clusters.map(({ id, name }) => [textOf(id), textOf(name)]))
}

export function addSessionCommands(program: Command): void {
  const session = program.command('session').description('who is using which cluster')
  session
    .command('list')
    .description('your open sessions')
    .option('--user <user>', 'of this user; * for everyone')
    .option('--ended', 'also those that have ended')
    .action(async (options: { user?: string; ended?: true }, command: Command) => {
      const query = { user: options.user, ended: options.ended ? 'true' : undefined }
      const api = signedIn()
      const sessions = await api.all('/v1/sessions', 'sessions', query)
      const isTable = formatOf(command) === 'table' && sessions.length > 0
      show(command, sessions, columns(isTable ? await clusterNames(api) : new Map()))
    })
  session
    .command('show <session>')
    .description('one session')
    .action(async (id: string, _options: object, command: Command) => {
      const api = signedIn()
      const found = toItem(await api.call('GET', `/v1/sessions/${segment(id)}`), 'session')
      const isTable = formatOf(command) === 'table'
      show(command, found, columns(isTable ? await clusterNames(api) : new Map()))
    })
  session
    .command('delete <session>')
    .alias('end')
    .description('cut what runs under it, and remove its account')
    .action(async (id: string) => {
      await signedIn().call('DELETE', `/v1/sessions/${segment(id)}`)
      say(`session ${id} is ended`)
    })
}
