import type { Command } from 'commander'
import { segment, textOf, toObject } from '../api.ts'
import { collect, parsePairs, say, show, signedIn } from '../context.ts'
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
    .command('remove-agent <cluster> <agent>')
    .description('refuse an agent from now on, by id; "cluster show -o yaml" has the ids')
    .action(async (name: string, agent: string) => {
      const path = `/v1/clusters/${segment(name)}/agents/${segment(agent)}`
      await signedIn().call('DELETE', path)
      say(`agent ${agent} is removed`)
    })
  cluster
    .command('delete <cluster>')
    .description('end every session there and refuse its agents')
    .action(async (name: string) => {
      await signedIn().call('DELETE', `/v1/clusters/${segment(name)}`)
      say(`${name} is deleted`)
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
