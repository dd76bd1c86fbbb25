import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { environment } from '../src/config.ts'
import { lastOf, readDockerfile } from './dockerfile.ts'

const { root, node } = environment
const text = readFileSync(join(root, 'deploy/images/Dockerfile'), 'utf8')
const dockerfile = readDockerfile(text)
const PROGRAMS = ['identity', 'policy', 'session', 'tunnel-broker', 'audit', 'relay', 'gateway']
const ALL = [...PROGRAMS, 'console', 'agent', 'databases']

describe('Dockerfile', () => {
  test('the images run the Node that the project is built and tested with', () => {
    const manifest: { devDependencies: Record<string, string> } = JSON.parse(
      readFileSync(join(root, 'package.json'), 'utf8'),
    )
    expect(text).toContain(`ARG NODE=node:${manifest.devDependencies['node']}-slim`)
  })

  test('the bus is the nats-server that the tests run against', () => {
    const local = readFileSync(join(root, 'libs/local-servers/src/nats.ts'), 'utf8')
    const [, version = ''] = /nats-server\/v2@v([\d.]+)/.exec(local) ?? []
    expect(text).toContain(`ARG NATS=nats:${version}-alpine`)
  })

  test.each(ALL)('the image of %s holds its bundle and runs it as nobody in particular', (name) => {
    const stage = dockerfile.get(name)
    if (stage === undefined) throw new Error(`no stage ${name}`)
    expect(stage.lines).toContain(`COPY --from=build /src/dist/images/${name} /app`)
    expect(lastOf(stage, 'USER')).toBe('USER 65532:65532')
    expect(lastOf(stage, 'ENTRYPOINT')).toContain('"/app/main.js"')
  })

  test('no image is given a secret, or a setting that is one', () => {
    expect(text).not.toMatch(/^(ARG|ENV) \S*(PASSWORD|SECRET|TOKEN|KEY|_URL)/m)
  })
})

describe('bundles', () => {
  // Outside the repository: nothing there can be found in its node_modules.
  const out = mkdtempSync(join(tmpdir(), 'postern-images-'))
  afterAll(() => rmSync(out, { recursive: true, force: true }))
  beforeAll(async () => {
    const { code, output } = await run(['scripts/bundle.mjs', '--out', out])
    if (code !== 0) throw new Error(`bundling failed:\n${output}`)
  })

  test.each(ALL)('%s is all there, with what starts telemetry', (name) => {
    expect(existsSync(join(out, name, 'main.js'))).toBe(true)
    expect(existsSync(join(out, name, 'telemetry.js'))).toBe(true)
  })

  test.each([...PROGRAMS, 'console', 'agent'])('%s runs from its folder alone', async (name) => {
    const telemetry = ['--import', join(out, name, 'telemetry.js')]
    const { code, output } = await run([...telemetry, join(out, name, 'main.js'), '--help'])
    expect(output).toContain(`Postern ${name}`)
    expect(code).toBe(0)
  })

  test('what is started without settings says which are missing, and ends', async () => {
    const { code, output } = await run([join(out, 'gateway', 'main.js')])
    expect(output).toContain('POSTERN_GATEWAY_LISTEN must be set')
    expect(code).toBe(1)
  })

  test('the join manifest that tunnel-broker is told of lies in the repository', () => {
    const stage = dockerfile.get('tunnel-broker')
    const at = stage?.env['POSTERN_TUNNEL_BROKER_MANIFEST_FILE']
    const copied = `COPY deploy/agent/manifest.yaml ${at}`
    expect(stage?.lines).toContain(copied)
    expect(existsSync(join(root, 'deploy/agent/manifest.yaml'))).toBe(true)
  })
})

describe('health check', () => {
  const check = (env: Record<string, string>) => run(['deploy/images/healthcheck.mjs'], env)

  test.each([
    { name: 'ready', status: 200, code: 0 },
    { name: 'not ready', status: 503, code: 1 },
  ])('of a part that is $name ends with $code and says why', async ({ status, code }) => {
    const server = createServer((request, response) => {
      response.writeHead(request.url === '/readyz' ? status : 500)
      response.end('{"reasons":{"log":"PostgreSQL is away"}}')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      const { port } = portOf(server.address())
      const answer = await check({ POSTERN_TUNNEL_BROKER_HTTP_LISTEN: `0.0.0.0:${port}` })
      expect(answer).toEqual({ code, output: '{"reasons":{"log":"PostgreSQL is away"}}' })
    } finally {
      server.close()
    }
  })

  test('of a part that does not listen fails', async () => {
    const { code } = await check({ POSTERN_RELAY_HTTP_LISTEN: '127.0.0.1:1' })
    expect(code).toBe(1)
  })

  test('without the setting fails, and says so', async () => {
    const { code, output } = await check({})
    expect(output).toContain('HTTP_LISTEN is not set')
    expect(code).toBe(1)
  })
})

function portOf(address: AddressInfo | string | null): AddressInfo {
  if (address === null || typeof address === 'string') throw new Error('not listening on TCP')
  return address
}

function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number; output: string }> {
  return new Promise((answer) => {
    execFile(
      node,
      [...args],
      { cwd: root, env: { ...env }, timeout: 110_000 },
      (error, stdout, stderr) => {
        answer({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr })
      },
    )
  })
}
