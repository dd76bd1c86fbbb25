import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { environment } from './config.ts'
import { DATABASE, roleOf } from './platform/databases.ts'
import { SERVICES, type ServiceName, serviceEnvironment } from './platform/environment.ts'
import { keepPorts } from './platform/ports.ts'
import { prepareSecrets } from './platform/secrets.ts'

const HELP = `npm run service -- NAME: one more instance of a service, alone in a process of its own, beside a
running npm start: on its PostgreSQL, its nats-server and with its certificates. It starts anew
whenever a source changes.

  npm run service -- policy
  npm run service -- policy --print      only the settings, as lines for a shell
  npm run service -- policy --dir DIR    where npm start keeps its data (.postern)

Names: ${SERVICES.join(', ')}`

const { values, positionals } = parseArgs({
  options: {
    dir: { type: 'string', default: environment.dataDir },
    print: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
  allowPositionals: true,
})

const name = SERVICES.find((known) => known === positionals[0])
if (values.help) process.stdout.write(`${HELP}\n`)
else if (name === undefined) {
  process.stderr.write(`${HELP}\n`)
  process.exitCode = 2
} else if (existsSync(join(values.dir, 'platform', 'ports.json'))) await run(name)
else {
  process.stderr.write(`nothing was started in ${values.dir} yet: run npm start first\n`)
  process.exitCode = 1
}

async function run(service: ServiceName): Promise<void> {
  const settings = await settingsOf(service)
  if (values.print) {
    for (const [key, value] of Object.entries(settings)) process.stdout.write(`${key}='${value}'\n`)
    return
  }
  const main = join(environment.root, 'services', service, 'src/main.ts')
  const flags = ['--watch', '--conditions=@postern/source', '--disable-warning=ExperimentalWarning']
  const { PATH } = environment.variables
  const child = spawn(environment.node, [...flags, main], {
    env: { PATH, ...settings },
    stdio: 'inherit',
  })
  // Ctrl-C reaches it too, and it is the one that stops in order.
  process.on('SIGINT', () => {})
  child.on('exit', (code) => {
    process.exitCode = code ?? 0
  })
}

/** As npm start gives them, but on free ports: the ports of npm start are taken. */
async function settingsOf(service: ServiceName): Promise<Record<string, string>> {
  const dir = join(values.dir, 'platform')
  const ports = await keepPorts(dir)
  const secrets = await prepareSecrets({
    dir: join(dir, 'secrets'),
    webDnsNames: [],
    webIpAddresses: [],
    now: new Date(),
  })
  const of = serviceEnvironment({
    dir,
    ports,
    secrets,
    databaseUrl: (owner) =>
      `postgres://${roleOf(owner)}:${secrets.password(`postgres-${owner}`)}@127.0.0.1:${ports.postgres}/${DATABASE}`,
    logLevel: 'debug',
  })
  return Object.fromEntries(
    Object.entries(of(service)).map(([key, value]) => {
      if (key.endsWith('_LISTEN')) return [key, '127.0.0.1:0']
      return [key, key.endsWith('_SPOOL_DIR') ? join(dir, 'spool-alone') : value]
    }),
  )
}
