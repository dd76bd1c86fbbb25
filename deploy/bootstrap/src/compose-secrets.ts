import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { messageOf } from '@postern/errors'
import { prepareCompose } from './compose/prepare-compose.ts'
import { environment } from './config.ts'

const HELP = `npm run compose:secrets: everything docker-compose.yml needs that is secret, and .env

  npm run compose:secrets -- --domain postern.example.com
  npm run compose:secrets                       the same names as before (localhost the first time)

  --domain NAME          DNS name of this machine; more than once for several, the main one first
  --addressing path      kubeconfigs name clusters as https://NAME:8443/clusters/<cluster> (default)
  --addressing host      … as https://<cluster>.NAME:8443, which needs DNS for *.NAME

Nothing that exists is made anew, except certificates: those of the parts live for a day, and one for
the web that ends soon or lacks a name is replaced unless you brought it yourself.`

const { values } = parseArgs({
  options: {
    domain: { type: 'string', multiple: true, default: [] },
    addressing: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

const say = (line: string) => void process.stdout.write(`${line}\n`)

if (values.help) say(HELP)
else await main()

async function main(): Promise<void> {
  const { addressing } = values
  try {
    const { domain, notes } = await prepareCompose({
      dir: join(environment.root, 'deploy', 'compose', 'secrets'),
      envFile: join(environment.root, '.env'),
      domains: values.domain,
      ...(addressing === undefined ? {} : { addressing }),
      now: new Date(),
    })
    for (const note of notes) say(`- ${note}`)
    say(nextSteps(domain))
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`)
    process.exitCode = 1
  }
}

function nextSteps(domain: string): string {
  return `
Next:
  docker compose up --detach --build
  docker compose logs identity      # the first time it prints a one-time set-up token; then
  npx postern setup --url https://${domain}:8444 --ca-file deploy/compose/secrets/web-ca.crt \\
    --user admin --setup-token TOKEN

Keep deploy/compose/secrets with your backups, and move ca/root.key to where no network reaches it:
docs/operations.md says why and how.`
}
