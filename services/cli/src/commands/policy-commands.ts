import { readFileSync } from 'node:fs'
import { text as readStream } from 'node:stream/consumers'
import type { Command } from 'commander'
import { type Api, type Json, segment, textOf } from '../api.ts'
import { renderChange } from '../apply/diff.ts'
import { type Change, planChanges } from '../apply/plan.ts'
import { parsePolicyFile } from '../apply/policy-file.ts'
import { collect, formatOf, parsePairs, say, show, signedIn } from '../context.ts'
import { CliError, EXIT } from '../exit-code.ts'
import type { Column } from '../output/format.ts'
import { printable } from '../output/printable.ts'
import { list, toItem } from './directory-commands.ts'

const ROLE: readonly Column[] = [
  ['NAME', (role) => textOf(role['name'])],
  ['RULES', (role) => String(Array.isArray(role['rules']) ? role['rules'].length : 0)],
  ['DESCRIPTION', (role) => textOf(role['description'])],
  ['ID', (role) => textOf(role['id'])],
]

const GRANT: readonly Column[] = [
  ['NAME', (grant) => textOf(grant['name'])],
  ['SUBJECTS', (grant) => list(toItem(grant, 'terms')['subjects'])],
  ['ROLE', (grant) => textOf(toItem(grant, 'terms')['role'])],
  ['CLUSTERS', (grant) => clustersOf(toItem(grant, 'terms'))],
  ['NAMESPACES', (grant) => namespacesOf(toItem(toItem(grant, 'terms'), 'namespaces'))],
  ['UNTIL', (grant) => textOf(toItem(grant, 'terms')['notAfter'])],
]

const EXPLANATION: readonly Column[] = [
  ['ALLOWED', (answer) => (answer['allowed'] === true ? 'yes' : 'no')],
  ['GRANT', (answer) => textOf(answer['grantName'])],
  ['ROLE', (answer) => textOf(answer['roleName'])],
  ['REASON', (answer) => textOf(answer['reason'])],
]

export function addPolicyCommands(program: Command): void {
  addRoleCommands(program.command('role').description('named sets of Kubernetes RBAC rules'))
  addGrantCommands(program.command('grant').description('who may use which role where, and when'))
  addApply(program)
  addExplain(program)
}

function addRoleCommands(role: Command): void {
  role
    .command('create <name>')
    .description('add a role with one rule; "postern apply -f" takes more')
    .requiredOption('--verb <verbs>', 'comma-separated')
    .requiredOption('--resource <resources>', 'comma-separated: pods,pods/exec')
    .option('--api-group <groups>', 'comma-separated; "" is the core group', '')
    .option('--description <text>', 'shown beside the name', '')
    .action(
      async (
        name: string,
        options: { verb: string; resource: string; apiGroup: string; description: string },
        command: Command,
      ) => {
        const rules = [
          {
            verbs: options.verb.split(','),
            apiGroups: options.apiGroup.split(','),
            resources: options.resource.split(','),
          },
        ]
        const { description } = options
        const created = await signedIn().call('POST', '/v1/roles', { name, description, rules })
        show(command, toItem(created, 'role'), ROLE)
      },
    )
  role
    .command('list')
    .description('all roles')
    .action(async (_options: object, command: Command) => {
      show(command, await signedIn().all('/v1/roles', 'roles'), ROLE)
    })
  role
    .command('show <role>')
    .description('one role; -o yaml shows its rules')
    .action(async (name: string, _options: object, command: Command) => {
      const found = await signedIn().call('GET', `/v1/roles/${segment(name)}`)
      show(command, toItem(found, 'role'), ROLE)
    })
  role
    .command('delete <role>')
    .description('remove a role that no grant names')
    .action(async (name: string) => {
      await signedIn().call('DELETE', `/v1/roles/${segment(name)}`)
      say(`${name} is deleted`)
    })
}

type GrantOptions = {
  subject: string[]
  role: string
  cluster: string[]
  clusterLabel: string[]
  allClusters?: true
  namespace: string[]
  until?: string
}

function addGrantCommands(grant: Command): void {
  grant
    .command('create <name>')
    .description('let subjects use a role on clusters, everywhere or in namespaces')
    .requiredOption('--subject <who>', 'user:NAME or group:NAME (repeatable)', collect, [])
    .requiredOption('--role <role>', 'name of the role')
    .option('--cluster <cluster>', 'a cluster by name (repeatable)', collect, [])
    .option('--cluster-label <key=value>', 'clusters by label (repeatable)', collect, [])
    .option('--all-clusters', 'every cluster, also those that join later')
    .option(
      '--namespace <name>',
      'name or glob (repeatable); everywhere when left out',
      collect,
      [],
    )
    .option('--until <time>', 'RFC 3339; until revoked when left out')
    .action(async (name: string, options: GrantOptions, command: Command) => {
      const terms = toTerms(options)
      const created = await signedIn().call('POST', '/v1/grants', { name, terms })
      show(command, toItem(created, 'grant'), GRANT)
    })
  grant
    .command('list')
    .description('all grants')
    .action(async (_options: object, command: Command) => {
      show(command, await signedIn().all('/v1/grants', 'grants'), GRANT)
    })
  grant
    .command('show <grant>')
    .description('one grant, by name or id')
    .action(async (name: string, _options: object, command: Command) => {
      const found = await signedIn().call('GET', `/v1/grants/${segment(name)}`)
      show(command, toItem(found, 'grant'), GRANT)
    })
  grant
    .command('delete <grant>')
    .alias('revoke')
    .description('revoke it now: what runs under it is cut')
    .option('--reason <text>', 'for the record', '')
    .action(async (name: string, { reason }: { reason: string }) => {
      const query = reason === '' ? '' : `?reason=${encodeURIComponent(reason)}`
      await signedIn().call('DELETE', `/v1/grants/${segment(name)}${query}`)
      say(`${name} is revoked`)
    })
}

function toTerms(options: GrantOptions): Json {
  const labels = parsePairs(options.clusterLabel)
  const byLabel = Object.keys(labels).length > 0
  if (!byLabel && options.allClusters !== true && options.cluster.length === 0) {
    throw new CliError(EXIT.usage, 'say which: --cluster, --cluster-label or --all-clusters')
  }
  return {
    subjects: options.subject,
    role: options.role,
    clusters: options.cluster,
    ...(byLabel || options.allClusters === true
      ? { clusterSelector: { matchLabels: labels } }
      : {}),
    namespaces: options.namespace.length > 0 ? { names: options.namespace } : { all: true },
    ...(options.until === undefined ? {} : { notAfter: options.until }),
  }
}

function addApply(program: Command): void {
  program
    .command('apply')
    .description('bring roles and grants to what a file says, and show what changes')
    .requiredOption('-f, --file <file>', 'YAML of kind: Role and kind: Grant documents; - is stdin')
    .option('--dry-run', 'only show')
    .action(async ({ file, dryRun }: { file: string; dryRun?: true }, command: Command) => {
      const documents = parsePolicyFile(await readInput(file))
      const api = signedIn()
      const [roles, grants] = await Promise.all([
        api.all('/v1/roles', 'roles'),
        api.all('/v1/grants', 'grants'),
      ])
      const plan = planChanges(documents, { roles: byName(roles), grants: byName(grants) })
      const isTable = formatOf(command) === 'table'
      for (const change of plan) {
        if (dryRun !== true) await carryOut(api, change)
        if (isTable) say(renderChange(change))
      }
      if (!isTable) {
        const done = plan.map(({ document, action }) => ({
          kind: document.kind,
          name: document.name,
          action,
        }))
        show(command, done, [])
      }
    })
}

/** @throws CliError that says which document was refused; those before it were carried out */
async function carryOut(api: Api, { document, action }: Change): Promise<void> {
  if (action === 'keep') return
  const { kind, name, spec } = document
  const path = kind === 'Role' ? '/v1/roles' : '/v1/grants'
  try {
    if (action === 'create') await api.call('POST', path, { name, ...spec })
    else await api.call('PUT', `${path}/${segment(name)}`, spec)
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    throw new CliError(error.exitCode, `${kind} ${name}: ${error.message}`)
  }
}

async function readInput(file: string): Promise<string> {
  if (file === '-') return await readStream(process.stdin)
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new CliError(EXIT.usage, error instanceof Error ? error.message : `${file}: not readable`)
  }
}

function addExplain(program: Command): void {
  program
    .command('explain <verb> <resource-or-path>')
    .description('decide a request as the gateway would, and say why: explain get pods/exec web')
    .argument('[name]', 'name of the object')
    .requiredOption('--cluster <cluster>', 'name of the cluster')
    .option('--user <user>', 'whose request; your own when left out', '')
    .option('--namespace <namespace>', 'every namespace when left out', '')
    .option('--api-group <group>', 'the core group when left out', '')
    .option('--at <time>', 'RFC 3339; now when left out')
    .action(
      async (
        verb: string,
        what: string,
        name: string | undefined,
        options: {
          cluster: string
          user: string
          namespace: string
          apiGroup: string
          at?: string
        },
        command: Command,
      ) => {
        const isPath = what.startsWith('/')
        const answer = await signedIn().call('POST', '/v1/explain', {
          user: options.user,
          cluster: options.cluster,
          verb,
          ...(isPath
            ? { nonResourceUrl: what }
            : {
                resource: what,
                apiGroup: options.apiGroup,
                namespace: options.namespace,
                name: name ?? '',
              }),
          ...(options.at === undefined ? {} : { at: options.at }),
        })
        show(command, answer, EXPLANATION)
        const missing = answer['missing']
        if (formatOf(command) === 'table' && Array.isArray(missing)) {
          for (const why of missing) say(`  ${printable(textOf(why))}`)
        }
        if (answer['allowed'] !== true) process.exitCode = EXIT.refused
      },
    )
}

function byName(items: readonly Json[]): ReadonlyMap<string, Json> {
  return new Map(items.map((item) => [textOf(item['name']), item]))
}

function clustersOf(terms: Json): string {
  const selector = toItem(terms, 'clusterSelector')
  const labels = Object.entries(toItem(selector, 'matchLabels')).map(
    ([key, value]) => `${key}=${textOf(value)}`,
  )
  const everything = terms['clusterSelector'] !== undefined && labels.length === 0 ? ['*'] : []
  return [list(terms['clusters']), ...labels, ...everything]
    .filter((part) => part !== '')
    .join(', ')
}

function namespacesOf(namespaces: Json): string {
  return namespaces['all'] === true ? '*' : list(namespaces['names'])
}
