import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readDotEnv } from '../src/compose/dot-env.ts'
import { prepareCompose } from '../src/compose/prepare-compose.ts'
import { environment } from '../src/config.ts'
import { type ComposeService, defaultedIn, readComposeFile } from './compose-file.ts'
import { lastOf, readDockerfile, type Stage } from './dockerfile.ts'

const source = readFileSync(join(environment.root, 'docker-compose.yml'), 'utf8')
const dockerfile = readDockerfile(
  readFileSync(join(environment.root, 'deploy/images/Dockerfile'), 'utf8'),
)
const folder = mkdtempSync(join(tmpdir(), 'postern-compose-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

await prepareCompose({
  dir: join(folder, 'secrets'),
  envFile: join(folder, '.env'),
  domains: ['postern.example.test'],
  now: new Date(),
})
const variables = readDotEnv(readFileSync(join(folder, '.env'), 'utf8'))
const file = readComposeFile(source, variables)
const all = Object.entries(file.services)
const built = all.filter(([, { build }]) => build !== undefined)

/** Those that run a main.ts of services/. */
const parts = built.filter(([name]) => existsSync(join(environment.root, 'services', name)))

function partOf(name: string): ComposeService {
  const found = file.services[name]
  if (found === undefined) throw new Error(`docker-compose.yml has no ${name}`)
  return found
}

function stageOf(name: string): Stage {
  const stage = dockerfile.get(name)
  if (stage === undefined) throw new Error(`the Dockerfile has no stage ${name}`)
  return stage
}

describe('secrets', () => {
  test.each(Object.keys(variables).filter((name) => source.includes(`\${${name}:`)))(
    'without %s nothing starts, and the message says what to do',
    (name) => {
      expect(() => readComposeFile(source, { ...variables, [name]: '' })).toThrow(
        `${name} is missing: run npm run compose:secrets first`,
      )
    },
  )

  test('only ports, the tag, the log level and the name of the agent image have defaults', () => {
    expect(defaultedIn(source).toSorted()).toEqual([
      'POSTERN_COMPOSE_AGENT_IMAGE',
      'POSTERN_COMPOSE_CONSOLE_PORT',
      'POSTERN_COMPOSE_GATEWAY_PORT',
      'POSTERN_COMPOSE_LOG_LEVEL',
      'POSTERN_COMPOSE_RELAY_PORT',
      'POSTERN_COMPOSE_TAG',
    ])
  })

  test('.env holds no secret, and no container has one in its environment', () => {
    const passwords = ['postgres-admin', 'postgres-policy', 'nats-policy'].map((name) =>
      readFileSync(join(folder, 'secrets/passwords', name), 'utf8'),
    )
    const visible = JSON.stringify([variables, all.map(([, { environment: env }]) => env)])
    for (const password of passwords) expect(visible).not.toContain(password)
    expect(visible).not.toMatch(/PASSWORD":|_URL":"(postgres|nats)/)
  })

  test('every secret that is mounted was generated, and is not empty', () => {
    const files = Object.values(file.secrets).map((secret) => resolve(folder, secret.file))
    expect(files.length).toBeGreaterThan(15)
    expect(files.filter((path) => statSync(path).size === 0)).toEqual([])
  })

  test.each(all)('%s names only secrets, volumes and networks that there are', (_, one) => {
    for (const { source: name } of one.secrets) expect(Object.keys(file.secrets)).toContain(name)
    const places = one.volumes.filter(({ type, source: name }) =>
      type === 'volume' ? name in file.volumes : existsSync(resolve(folder, name)),
    )
    expect(places).toEqual(one.volumes)
    for (const name of one.networks) expect(Object.keys(file.networks)).toContain(name)
  })

  test('nobody but identity has the key of the authority, and nobody has the root key', () => {
    const having = (path: string) =>
      all.filter(([, one]) =>
        one.secrets.some(({ source: name }) => file.secrets[name]?.file.endsWith(path)),
      )
    expect(having('/ca/ca.key').map(([name]) => name)).toEqual(['identity'])
    expect(having('root.key')).toEqual([])
    expect(having('audit-signing.key').map(([name]) => name)).toEqual(['audit'])
  })

  test.each(parts)('%s sees no certificate and no settings but its own', (name, one) => {
    const settings = one.secrets.filter(({ source: secret }) => secret.endsWith('-settings'))
    expect(settings.map(({ source: secret }) => secret)).toEqual(
      settings.length === 0 ? [] : [`${name}-settings`],
    )
    const folders = one.volumes.filter(({ type }) => type === 'bind')
    for (const { source: from } of folders) expect(from).toMatch(new RegExp(`/tls/${name}$`))
  })
})

describe('confinement', () => {
  // read_only, cap_drop and security_opt are required of every service by compose-file.ts.
  test.each(all)('%s does not run as root', (_, { user }) => {
    expect(user).not.toMatch(/^0:|:0$/)
  })

  test.each(built)('the image of %s is made for the user it runs as', (name, { user }) => {
    expect(lastOf(stageOf(name), 'USER')).toBe(`USER ${user}`)
  })

  test('only relay, gateway and console can be reached from outside, or reach it', () => {
    const outside = ['console', 'gateway', 'relay']
    const published = all.filter(([, { ports }]) => ports.length > 0).map(([name]) => name)
    expect(published.toSorted()).toEqual(outside)
    const open = Object.entries(file.networks).filter(([, { internal }]) => !internal)
    expect(open.map(([name]) => name)).toEqual(['edge'])
    const onEdge = all.filter(([, { networks }]) => networks.includes('edge'))
    expect(onEdge.map(([name]) => name).toSorted()).toEqual(outside)
  })

  test.each([
    { network: 'database', servers: ['postgres', 'databases'] },
    { network: 'bus', servers: ['nats'] },
  ])('the network $network is reached by log owners alone', ({ network, servers }) => {
    const near = all.filter(([, { networks }]) => networks.includes(network))
    expect(near.map(([name]) => name).toSorted()).toEqual(
      [...servers, 'identity', 'policy', 'session', 'tunnel-broker', 'audit'].toSorted(),
    )
  })
})

describe('settings', () => {
  test('every service of this repository but the agent and the command line is there', () => {
    expect(parts.map(([name]) => name).toSorted()).toEqual([
      'audit',
      'console',
      'gateway',
      'identity',
      'policy',
      'relay',
      'session',
      'tunnel-broker',
    ])
  })

  let answers: ReadonlyMap<string, Answer>
  beforeAll(async () => {
    const checked = parts.map(
      async ([name]) => [name, await check(name, settingsOf(name))] as const,
    )
    answers = new Map(await Promise.all(checked))
  })

  test.each(parts)("%s's own main.ts accepts them", (name) => {
    expect(answers.get(name)).toEqual({ code: 0, output: `${name}: the settings are usable\n` })
  })

  test('a name that is no setting would be found', async () => {
    const { code, output } = await check('policy', {
      ...settingsOf('policy'),
      POSTERN_POLICY_LISTENS: '0.0.0.0:7000',
    })
    expect(code).toBe(1)
    expect(output).toContain('did you mean POSTERN_POLICY_LISTEN?')
  })

  test('without its secret file a log owner does not start', async () => {
    const { POSTERN_CONFIG_FILE: _, ...rest } = settingsOf('policy')
    const { code, output } = await check('policy', rest)
    expect(code).toBe(1)
    expect(output).toContain('POSTERN_POLICY_DATABASE_URL must be set')
  })

  test.each(parts)('every file and folder that the settings of %s name is mounted', (_, one) => {
    const targets = [...one.secrets, ...one.volumes].map(({ target }) => target)
    const paths = Object.entries(one.environment).filter(([key]) => /_(FILE|DIR)$/.test(key))
    expect(paths.map(([key]) => key).join()).toMatch(/TLS_DIR|CA_DIR/)
    const missing = paths.filter(
      ([, path]) => !targets.some((target) => target === path || target.startsWith(`${path}/`)),
    )
    expect(missing).toEqual([])
  })

  test.each(parts)('every address that %s is given leads to one who listens there', (_, one) => {
    const links = Object.entries(one.environment).filter(([, value]) => /^[a-z-]+:\d+$/.test(value))
    expect(links.length).toBeGreaterThan(4)
    const dead = links.filter(([, value]) => {
      const [host = '', port = ''] = value.split(':')
      const isNear = partOf(host).networks.some((network) => one.networks.includes(network))
      return !isNear || !listensOf(host).includes(port)
    })
    expect(dead).toEqual([])
  })

  test.each(parts.filter(([, { ports }]) => ports.length > 0))(
    'the published port of %s is the one it listens on, and everybody is told that one',
    (name, { ports }) => {
      const [outer = '', inner = ''] = ports[0]?.split(':') ?? []
      expect(listensOf(name)).toContain(inner)
      expect(lastOf(stageOf(name), 'EXPOSE')).toBe(`EXPOSE ${inner}`)
      const told: Readonly<Record<string, string | undefined>> = {
        relay: partOf('relay').environment['POSTERN_RELAY_AGENT_ADDRESS'],
        gateway: partOf('console').environment['POSTERN_CONSOLE_GATEWAY_URL'],
      }
      expect(told[name] ?? `:${outer}`).toMatch(new RegExp(`:${outer}$`))
    },
  )

  test('the bus is told to sync every message, and keeps what it has in the volume', () => {
    const config: unknown = JSON.parse(
      readFileSync(join(folder, 'secrets/nats-server.conf'), 'utf8'),
    )
    expect(config).toMatchObject({
      jetstream: { sync_interval: 'always', store_dir: partOf('nats').volumes[0]?.target },
    })
  })
})

describe('start', () => {
  test.each(all)('%s waits only for what there is and can become so', (_, { depends_on }) => {
    const impossible = Object.entries(depends_on).filter(
      ([name, { condition }]) => !canBecome(name).includes(condition),
    )
    expect(impossible).toEqual([])
  })

  test.each(parts)(
    '%s answers its health check where its image looks',
    (name, { environment: env }) => {
      const listen = `POSTERN_${name.replaceAll('-', '_').toUpperCase()}_HTTP_LISTEN`
      expect({ ...stageOf(name).env, ...env }[listen]).toMatch(/^0\.0\.0\.0:\d+$/)
      expect(lastOf(stageOf(name), 'HEALTHCHECK')).toContain('"/app/healthcheck.mjs"')
    },
  )

  test.skipIf(!hasCompose())('docker compose itself accepts the file', () => {
    const args = ['compose', '-f', join(environment.root, 'docker-compose.yml')]
    const answer = execFileSync(
      'docker',
      [...args, '--env-file', join(folder, '.env'), 'config', '--quiet'],
      { encoding: 'utf8', timeout: 20_000 },
    )
    expect(answer).toBe('')
  })
})

/** As the container has them: the image's, compose's, and the settings file where it lies here. */
function settingsOf(name: string): Record<string, string> {
  const { environment: own, secrets } = partOf(name)
  const image = Object.entries(stageOf(name).env).filter(([key]) => key.startsWith('POSTERN_'))
  const settings = { ...Object.fromEntries(image), ...own }
  const { POSTERN_CONFIG_FILE: mounted, ...rest } = settings
  if (mounted === undefined) return rest
  const secret = secrets.find(({ target }) => target === mounted)
  const path = file.secrets[secret?.source ?? '']?.file
  if (path === undefined) throw new Error(`${name}: nothing is mounted at ${mounted}`)
  return { ...rest, POSTERN_CONFIG_FILE: resolve(folder, path) }
}

function canBecome(name: string): string[] {
  const { build, healthcheck, restart } = partOf(name)
  if (restart === 'no') return ['service_completed_successfully']
  const ofImage = build === undefined ? undefined : lastOf(stageOf(build.target), 'HEALTHCHECK')
  const hasCheck = healthcheck !== undefined || ofImage?.includes('CMD') === true
  return hasCheck ? ['service_started', 'service_healthy'] : ['service_started']
}

function listensOf(name: string): string[] {
  const own = Object.entries(partOf(name).environment)
  return own.flatMap(([key, value]) =>
    key.endsWith('_LISTEN') && !key.endsWith('_HTTP_LISTEN') ? [value.replace(/^.*:/, '')] : [],
  )
}

type Answer = { readonly code: number; readonly output: string }

function check(name: string, env: Readonly<Record<string, string>>): Promise<Answer> {
  const main = join(environment.root, 'services', name, 'src/main.ts')
  const flags = ['--conditions=@postern/source', '--disable-warning=ExperimentalWarning']
  return new Promise((answer) => {
    execFile(
      environment.node,
      [...flags, main, '--check'],
      { env: { ...env }, timeout: 90_000 },
      (error, stdout, stderr) => {
        answer({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr })
      },
    )
  })
}

function hasCompose(): boolean {
  try {
    execFileSync('docker', ['compose', 'version'], { stdio: 'pipe', timeout: 10_000 })
    return true
  } catch {
    return false
  }
}
