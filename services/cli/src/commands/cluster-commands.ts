import { writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { segment, textOf, toObject, withQuery } from '../api.ts'
import { collect, parseDuration, parsePairs, say, show, signedIn } from '../context.ts'
import { CliError, EXIT } from '../exit-code.ts'
import type { Column } from '../output/format.ts'
import { toItem } from './directory-commands.ts'

const CLUSTER: readonly Column[] = [
  ['NAME', (cluster) => textOf(cluster['name'])],
  ['STATE', (cluster) => textOf(cluster['state']).replace('CLUSTER_STATE_', '').toLowerCase()],
  ['KUBERNETES', (cluster) => textOf(cluster['kubernetesVersion'])],
  ['LABELS', (cluster) => labels(cluster['labels'])],
  [
    'LEVEL',
    (cluster) => textOf(cluster['installLevel']).replace('INSTALL_LEVEL_', '').toLowerCase(),
  ],
  ['PROBLEMS', (cluster) => problems(cluster['agents'])],
]

const SESSION: readonly Column[] = [
  ['ID', (session) => textOf(session['id'])],
  ['USER', (session) => textOf(session['userName'])],
  ['CLUSTER', (session) => textOf(session['clusterId'])],
  ['STATE', (session) => textOf(session['state']).replace('SESSION_STATE_', '').toLowerCase()],
  ['ACCOUNT', (session) => textOf(session['account'])],
  ['OPENED', (session) => textOf(session['openedAt'])],
]

const TOKEN: readonly Column[] = [
  ['ID', (token) => textOf(token['id'])],
  ['USER', (token) => textOf(token['userName'])],
  ['DESCRIPTION', (token) => textOf(token['description'])],
  ['UNTIL', (token) => textOf(token['expiresAt'])],
]

export function addClusterCommands(program: Command): void {
  const cluster = program.command('cluster').description('clusters that Postern gives access to')
  cluster
    .command('create <name>')
    .description('register a cluster; "postern cluster join" brings its agent in')
    .option('--label <key=value>', 'what grants select it by (repeatable)', collect, [])
    .option('--level <level>', 'roles the manifest installs: view, edit or admin', 'edit')
    .action(async (name: string, options: { label: string[]; level: string }, command: Command) => {
      const created = await signedIn().call('POST', '/v1/clusters', {
        name,
        labels: parsePairs(options.label),
        installLevel: toLevel(options.level),
      })
      show(command, toItem(created, 'cluster'), CLUSTER)
    })
  cluster
    .command('list')
    .description('clusters that you may use; all of them for administrators')
    .action(async (_options: object, command: Command) => {
      show(command, await signedIn().all('/v1/clusters', 'clusters'), CLUSTER)
    })
  cluster
    .command('show <cluster>')
    .description('one cluster; -o yaml shows its agents')
    .action(async (name: string, _options: object, command: Command) => {
      const found = await signedIn().call('GET', `/v1/clusters/${segment(name)}`)
      show(command, toItem(found, 'cluster'), CLUSTER)
    })
  cluster
    .command('label <cluster> <key=value...>')
    .description('replace the labels; grants by label follow at once')
    .action(async (name: string, pairs: string[]) => {
      await signedIn().call('PUT', `/v1/clusters/${segment(name)}/labels`, {
        labels: parsePairs(pairs),
      })
      say(`${name} is labelled`)
    })
  cluster
    .command('join <cluster>')
    .description('print the manifest for "kubectl apply -f -"; it works once, for an hour')
    .action(async (name: string) => {
      const path = `/v1/clusters/${segment(name)}/join-manifest`
      const { manifest } = await signedIn().call('POST', path, {})
      process.stdout.write(textOf(manifest))
    })
  cluster
    .command('delete <cluster>')
    .description('end every session there and refuse its agents')
    .action(async (name: string) => {
      await signedIn().call('DELETE', `/v1/clusters/${segment(name)}`)
      say(`${name} is deleted`)
    })
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
      show(command, await signedIn().all('/v1/sessions', 'sessions', query), SESSION)
    })
  session
    .command('show <session>')
    .description('one session')
    .action(async (id: string, _options: object, command: Command) => {
      const found = await signedIn().call('GET', `/v1/sessions/${segment(id)}`)
      show(command, toItem(found, 'session'), SESSION)
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
      writeFileSync(file, text, { mode: 0o600 })
      say(`written: kubectl --kubeconfig ${file} get pods`)
    })
}

function toLevel(level: string): string {
  if (!['view', 'edit', 'admin'].includes(level)) {
    throw new CliError(EXIT.usage, `a level is view, edit or admin, not "${level}"`)
  }
  return `INSTALL_LEVEL_${level.toUpperCase()}`
}

function labels(value: unknown): string {
  return Object.entries(toObject(value))
    .map(([key, text]) => `${key}=${textOf(text)}`)
    .join(',')
}

function problems(agents: unknown): string {
  if (!Array.isArray(agents)) return ''
  const found = agents.flatMap((agent) => {
    const list = toObject(agent)['problems']
    return Array.isArray(list) ? list.map(textOf) : []
  })
  return found.join('; ')
}
