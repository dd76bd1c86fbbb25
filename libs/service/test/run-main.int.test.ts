import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createDatabase } from '@postern/fixtures'
import { createTestAuthority } from '@postern/pki/testing'
import { expect, inject, test } from 'vitest'
import { fixtureEnvironment } from './fixture-service.ts'

const MAIN = new URL('./fixture-main.ts', import.meta.url).pathname

async function environment() {
  const databaseUrl = await createDatabase(inject('postgresUrl'))
  return await fixtureEnvironment(await createTestAuthority(), {
    databaseUrl,
    natsUrl: inject('natsUrl'),
  })
}

function main(env: Record<string, string>, ...args: string[]) {
  const child = spawn(process.execPath, ['--conditions=@postern/source', MAIN, ...args], { env })
  const output: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => output.push(data.toString()))
  }
  return { child, text: () => output.join(''), ended: endOf(child) }
}

async function endOf(child: ChildProcess): Promise<unknown> {
  const [code]: unknown[] = await once(child, 'exit')
  return code
}

test('--help names every setting; unknown arguments end with 2', async () => {
  const help = main({}, '--help')
  expect(await help.ended).toBe(0)
  for (const name of [
    'POSTERN_POLICY_GREETING  ',
    'POSTERN_POLICY_TLS_DIR',
    'POSTERN_NATS_URL',
    'POSTERN_CONFIG_FILE',
  ]) {
    expect(help.text()).toContain(name)
  }
  const unknown = main({}, '--verbose')
  expect(await unknown.ended).toBe(2)
  expect(unknown.text()).toContain('unknown arguments: --verbose')
})

test('--check names everything that is wrong, and prints no secret', async () => {
  await using given = await environment()
  const good = main(given.env, '--check')
  expect(await good.ended).toBe(0)
  const bad = main(
    { ...given.env, POSTERN_NATS_URL: 'http://u:hunter2hunter2@x', POSTERN_POLICY_X: '1' },
    '--check',
  )
  expect(await bad.ended).toBe(1)
  expect(bad.text()).toContain('POSTERN_POLICY_X is not a setting')
  expect(bad.text()).toContain('POSTERN_NATS_URL: must be a URL that begins with nats://')
  expect(bad.text()).not.toContain('hunter2')
})

test('it runs until SIGTERM, then ends with 0', async () => {
  await using given = await environment()
  const running = main(given.env)
  await untilSays(running, '"started"')
  running.child.kill('SIGTERM')
  expect(await running.ended).toBe(0)
  expect(running.text()).toContain('"stopped"')
})

test('rebuild --verify answers by its exit code', async () => {
  await using given = await environment()
  const rebuild = main(given.env, 'rebuild', '--verify')
  expect(await rebuild.ended).toBe(0)
  expect(rebuild.text()).toContain('rebuilt up to position 0')
})

test('without a certificate it ends with 1 and says what is missing', async () => {
  await using given = await environment()
  const broken = main({ ...given.env, POSTERN_POLICY_TLS_DIR: '/nowhere' })
  expect(await broken.ended).toBe(1)
  expect(broken.text()).toContain('reading tls.crt of /nowhere')
})

async function untilSays(running: ReturnType<typeof main>, text: string): Promise<void> {
  const { stdout } = running.child
  const signal = AbortSignal.timeout(20_000)
  while (!running.text().includes(text)) {
    if (stdout === null) throw new Error('no output')
    await Promise.race([once(stdout, 'data', { signal }), running.ended])
    if (running.child.exitCode !== null) throw new Error(`ended: ${running.text()}`)
  }
}
