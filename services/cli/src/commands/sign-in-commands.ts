import type { Command } from 'commander'
import { createApi, textOf } from '../api.ts'
import { parseDuration, say, show, signedIn } from '../context.ts'
import type { Column } from '../output/format.ts'
import { readSecret } from '../prompt.ts'
import {
  checkAddress,
  forgetToken,
  readCa,
  readSignIn,
  type SignIn,
  writeSignIn,
} from '../sign-in.ts'

const ME: readonly Column[] = [
  ['USER', (me) => textOf(me['userName'])],
  ['GROUPS', (me) => (Array.isArray(me['groups']) ? me['groups'].join(', ') : '')],
  ['PLATFORM ROLE', (me) => textOf(me['platformRole']).replace('PLATFORM_ROLE_', '').toLowerCase()],
  ['TOKEN UNTIL', (me) => textOf(me['tokenExpiresAt'])],
]

export function addSignInCommands(program: Command): void {
  program
    .command('login')
    .description('sign in with a name and password; the password is asked for, or read from stdin')
    .option('--url <url>', 'address of the Postern API; the last one when left out')
    .option('--ca-file <file>', 'roots of its certificate, where no public authority issued it')
    .requiredOption('--user <name>', 'user name')
    .option('--lifetime <time>', 'how long the token lives, at most 12h', '12h')
    .action(async (options: { url?: string; caFile?: string; user: string; lifetime: string }) => {
      const where = addressOf(options)
      const password = await readSecret(`Password of ${options.user}`)
      const answer = await createApi(where).call('POST', '/v1/login', {
        userName: options.user,
        password,
        lifetime: parseDuration(options.lifetime),
        description: 'postern login',
      })
      writeSignIn({ ...where, token: textOf(answer['secret']) })
      say(`signed in as ${options.user}`)
    })

  program
    .command('setup')
    .description('make the first administrator with the one-time set-up token, and sign in')
    .requiredOption('--url <url>', 'address of the Postern API')
    .option('--ca-file <file>', 'roots of its certificate')
    .requiredOption('--user <name>', 'name of the administrator')
    .option(
      '--setup-token <token>',
      'the token that identity printed at its first start; asked for, or read from stdin, when left out',
    )
    .action(
      async (options: { url: string; caFile?: string; user: string; setupToken?: string }) => {
        const where = addressOf(options)
        const setupToken = options.setupToken ?? (await readSecret('Set-up token'))
        const { user: userName } = options
        const password = await readSecret(`New password of ${userName}`)
        const answer = await createApi(where).call('POST', '/v1/setup', {
          setupToken,
          userName,
          password,
        })
        writeSignIn({ ...where, token: textOf(answer['secret']) })
        say(`${userName} is the first administrator, and signed in`)
      },
    )

  program
    .command('logout')
    .description('end your sessions on all clusters and revoke the token')
    .action(async () => {
      const api = signedIn()
      for (const session of await api.all('/v1/sessions', 'sessions')) {
        await api.call('DELETE', `/v1/sessions/${textOf(session['id'])}`)
      }
      await api.call('POST', '/v1/logout', {})
      forgetToken()
      say('signed out')
    })

  program
    .command('whoami')
    .description('who you are, and until when')
    .action(async (_options: object, command: Command) => {
      show(command, await signedIn().call('GET', '/v1/whoami'), ME)
    })
}

function addressOf(options: { url?: string; caFile?: string }): SignIn {
  const ca = options.caFile === undefined ? undefined : readCa(options.caFile)
  if (options.url !== undefined) return { url: checkAddress(options.url), ca, token: undefined }
  const kept = readSignIn()
  return { url: kept.url, ca: ca ?? kept.ca, token: undefined }
}
