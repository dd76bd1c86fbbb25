import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { problem, startRecordingServer } from './recording-server.ts'
import { type Cli, createCli } from './run-cli.ts'

let server: Awaited<ReturnType<typeof startRecordingServer>>
let cli: Cli

beforeEach(async () => {
  server = await startRecordingServer()
  cli = createCli(server)
})

afterEach(async () => {
  await server.stop()
  cli.remove()
})

const login = async (password = 'secret words') =>
  await cli.runKept(
    ['login', '--url', server.url, '--ca-file', cli.caFile, '--user', 'alice'],
    `${password}\n`,
  )
const kept = () => JSON.parse(readFileSync(cli.configFile, 'utf8'))

test('a sign-in is kept for its owner alone, and used by the next commands', async () => {
  server.answer(() => ({ body: { secret: 'ptk_fresh' } }))
  const outcome = await login()
  expect(outcome).toEqual({ code: 0, stdout: 'signed in as alice\n', stderr: '' })
  expect(server.asked).toEqual([
    {
      call: 'POST /v1/login',
      token: undefined,
      body: {
        userName: 'alice',
        password: 'secret words',
        lifetime: '43200s',
        description: 'postern login',
      },
    },
  ])
  expect(statSync(cli.configFile).mode & 0o777).toBe(0o600)
  expect(kept()).toEqual({ url: server.url, ca: server.ca, token: 'ptk_fresh' })

  server.answer(() => ({ body: { userName: 'alice' } }))
  expect((await cli.runKept(['whoami'])).stdout).toContain('alice')
  expect(server.asked[0]?.token).toBe('ptk_fresh')

  // A file that others could read does not stay so.
  writeFileSync(cli.configFile, readFileSync(cli.configFile), { mode: 0o644 })
  server.answer(() => ({ body: { secret: 'ptk_again' } }))
  expect((await cli.runKept(['login', '--user', 'alice'], 'secret words\n')).code).toBe(0)
  expect(server.asked[0]?.token).toBeUndefined()
  expect(statSync(cli.configFile).mode & 0o777).toBe(0o600)
})

test('a refused sign-in keeps nothing, and repeats no password', async () => {
  server.answer(() => problem(401, { detail: 'the name or the password is wrong' }))
  const outcome = await login()
  expect(outcome.code).toBe(3)
  expect(outcome.stderr).toBe('error: the name or the password is wrong\n')
  expect(existsSync(cli.configFile)).toBe(false)
})

test('set-up reads both of its secrets from standard input, where no other user sees them', async () => {
  server.answer(() => ({ body: { secret: 'ptk_admin' } }))
  const where = ['--url', server.url, '--ca-file', cli.caFile]
  const outcome = await cli.runKept(
    ['setup', ...where, '--user', 'admin'],
    'pst_token\nsecret words\n',
  )
  expect(outcome.code).toBe(0)
  expect(server.asked[0]).toMatchObject({
    call: 'POST /v1/setup',
    body: { setupToken: 'pst_token', userName: 'admin', password: 'secret words' },
  })
  expect(kept().token).toBe('ptk_admin')
  expect(outcome.stdout + outcome.stderr).not.toMatch(/pst_|ptk_|secret/)
})

test('signing out ends the sessions, revokes the token and forgets it', async () => {
  server.answer(() => ({ body: { secret: 'ptk_fresh' } }))
  await login()
  server.answer(({ call }) =>
    call.startsWith('GET') ? { body: { sessions: [{ id: 's1' }, { id: 's2' }] } } : undefined,
  )
  expect((await cli.runKept(['logout'])).code).toBe(0)
  expect(server.asked.map(({ call }) => call)).toEqual([
    'GET /v1/sessions?pageSize=500',
    'DELETE /v1/sessions/s1',
    'DELETE /v1/sessions/s2',
    'POST /v1/logout',
  ])
  expect(kept()).toEqual({ url: server.url, ca: server.ca })
})

test('a token of the environment is used and never kept; one of the file goes nowhere else', async () => {
  server.answer(() => ({ body: { secret: 'ptk_fresh' } }))
  await login()
  const file = { POSTERN_CLI_CONFIG: cli.configFile }
  server.answer(() => undefined)
  await cli.runWith({ ...file, POSTERN_CLI_TOKEN: 'ptk_of_ci' }, ['whoami'])
  expect(server.asked[0]?.token).toBe('ptk_of_ci')

  const elsewhere = await startRecordingServer()
  const caFile = `${cli.caFile}.elsewhere`
  writeFileSync(caFile, elsewhere.ca)
  const address = { POSTERN_CLI_URL: elsewhere.url, POSTERN_CLI_CA_FILE: caFile }
  await cli.runWith({ ...file, ...address }, ['whoami'])
  expect(elsewhere.asked).toEqual([{ call: 'GET /v1/whoami', token: undefined, body: undefined }])
  await elsewhere.stop()

  await cli.runWith({ ...file, POSTERN_CLI_TOKEN: 'ptk_of_ci' }, ['logout'])
  expect(kept().token).toBe('ptk_fresh')
})

test('whoever is not signed in is told how to', async () => {
  const missing = await cli.runKept(['whoami'])
  expect(missing).toMatchObject({ code: 3, stderr: expect.stringContaining('postern login --url') })
  server.answer(() => ({ body: { secret: 'ptk_fresh' } }))
  await login()
  for (const text of ['', '{', '[]', '{"url": 1}']) {
    writeFileSync(cli.configFile, text)
    expect((await cli.runKept(['whoami'])).code).toBe(3)
  }
  writeFileSync(cli.configFile, JSON.stringify({ url: 'http://x', token: 'ptk_x' }))
  expect((await cli.runKept(['whoami'])).code).toBe(2)
})
