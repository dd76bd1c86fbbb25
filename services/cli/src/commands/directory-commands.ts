import type { Command } from 'commander'
import { segment, textOf } from '../api.ts'
import { collect, say, show, signedIn } from '../context.ts'
import { CliError, EXIT } from '../exit-code.ts'
import type { Column } from '../output/format.ts'
import { readSecret } from '../prompt.ts'

const USER: readonly Column[] = [
  ['NAME', (user) => textOf(user['name'])],
  ['KIND', (user) => textOf(user['kind']).replace('USER_KIND_', '').toLowerCase()],
  ['STATE', (user) => (user['disabled'] === true ? 'disabled' : 'enabled')],
  ['GROUPS', (user) => list(user['groups'])],
  ['ID', (user) => textOf(user['id'])],
]

const GROUP: readonly Column[] = [
  ['NAME', (group) => textOf(group['name'])],
  ['PLATFORM ROLE', (group) => platformRole(group['platformRole'])],
  ['MEMBERS', (group) => list(group['members'])],
  ['ID', (group) => textOf(group['id'])],
]

export function addDirectoryCommands(program: Command): void {
  addUserCommands(program.command('user').description('people and machines'))
  addGroupCommands(program.command('group').description('sets of users that grants can name'))
}

function addUserCommands(user: Command): void {
  user
    .command('create <name>')
    .description('add a user')
    .option('--display-name <text>', 'shown beside the name', '')
    .option('--service', 'a machine: it has tokens and no password')
    .option('--password', 'ask for a password, or read it from stdin')
    .option('--group <group>', 'a group to join (repeatable)', collect, [])
    .action(
      async (
        name: string,
        options: { displayName: string; service?: true; password?: true; group: string[] },
        command: Command,
      ) => {
        const api = signedIn()
        const password = options.password ? await readSecret(`Password of ${name}`) : ''
        const created = await api.call('POST', '/v1/users', {
          name,
          displayName: options.displayName,
          kind: options.service ? 'USER_KIND_SERVICE' : 'USER_KIND_HUMAN',
          password,
        })
        for (const group of options.group) {
          await api.call('POST', `/v1/groups/${segment(group)}/members`, { user: name })
        }
        const found = options.group.length > 0 ? await api.call('GET', userPath(name)) : created
        show(command, toItem(found, 'user'), USER)
      },
    )
  user
    .command('list')
    .description('all users')
    .action(async (_options: object, command: Command) => {
      show(command, await signedIn().all('/v1/users', 'users'), USER)
    })
  user
    .command('show <user>')
    .description('one user, by name or id')
    .action(async (name: string, _options: object, command: Command) => {
      show(command, toItem(await signedIn().call('GET', userPath(name)), 'user'), USER)
    })
  user
    .command('disable <user>')
    .description('end everything the user has, at once')
    .option('--reason <text>', 'for the record', '')
    .action(async (name: string, { reason }: { reason: string }) => {
      await signedIn().call('POST', `${userPath(name)}/disable`, { reason })
      say(`${name} is disabled`)
    })
  user
    .command('enable <user>')
    .description('let a disabled user sign in again')
    .action(async (name: string) => {
      await signedIn().call('POST', `${userPath(name)}/enable`, {})
      say(`${name} is enabled`)
    })
  user
    .command('delete <user>')
    .description('disable for good, and free the name')
    .action(async (name: string) => {
      await signedIn().call('DELETE', userPath(name))
      say(`${name} is deleted`)
    })
  user
    .command('set-password <user>')
    .description("set a password; revokes the user's tokens")
    .option('--own', 'your own: the present password is asked for first')
    .action(async (name: string, { own }: { own?: true }) => {
      const oldPassword = own ? await readSecret('Present password') : ''
      const newPassword = await readSecret('New password')
      await signedIn().call('POST', `${userPath(name)}/password`, { oldPassword, newPassword })
      say(`the password of ${name} is set`)
    })
}

function addGroupCommands(group: Command): void {
  group
    .command('create <name>')
    .description('add a group')
    .option(
      '--platform-role <role>',
      'what members may do on Postern itself: administrator, auditor',
    )
    .action(async (name: string, options: { platformRole?: string }, command: Command) => {
      const platformRole = toPlatformRole(options.platformRole)
      const created = await signedIn().call('POST', '/v1/groups', { name, platformRole })
      show(command, toItem(created, 'group'), GROUP)
    })
  group
    .command('list')
    .description('all groups')
    .action(async (_options: object, command: Command) => {
      show(command, await signedIn().all('/v1/groups', 'groups'), GROUP)
    })
  group
    .command('show <group>')
    .description('one group, by name or id')
    .action(async (name: string, _options: object, command: Command) => {
      const found = await signedIn().call('GET', `/v1/groups/${segment(name)}`)
      show(command, toItem(found, 'group'), GROUP)
    })
  group
    .command('delete <group>')
    .description('take from its members what it gave them')
    .action(async (name: string) => {
      await signedIn().call('DELETE', `/v1/groups/${segment(name)}`)
      say(`${name} is deleted`)
    })
  group
    .command('add <group> <user>')
    .description('make a user a member')
    .action(async (name: string, user: string) => {
      await signedIn().call('POST', `/v1/groups/${segment(name)}/members`, { user })
      say(`${user} is a member of ${name}`)
    })
  group
    .command('remove <group> <user>')
    .description('take a user out')
    .action(async (name: string, user: string) => {
      await signedIn().call('DELETE', `/v1/groups/${segment(name)}/members/${segment(user)}`)
      say(`${user} is no member of ${name}`)
    })
}

function userPath(name: string): string {
  return `/v1/users/${segment(name)}`
}

export function toItem(answer: Record<string, unknown>, key: string): Record<string, unknown> {
  const item = answer[key]
  return typeof item === 'object' && item !== null ? Object.fromEntries(Object.entries(item)) : {}
}

export function list(value: unknown): string {
  return Array.isArray(value) ? value.map(textOf).join(', ') : ''
}

function platformRole(value: unknown): string {
  const role = textOf(value).replace('PLATFORM_ROLE_', '').toLowerCase()
  return role === 'unspecified' ? '' : role
}

function toPlatformRole(role: string | undefined): string {
  if (role === undefined) return 'PLATFORM_ROLE_UNSPECIFIED'
  if (role !== 'administrator' && role !== 'auditor') {
    throw new CliError(EXIT.usage, `a platform role is administrator or auditor, not "${role}"`)
  }
  return `PLATFORM_ROLE_${role.toUpperCase()}`
}
