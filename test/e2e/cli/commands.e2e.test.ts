import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { problem, startRecordingServer } from './recording-server.ts'
import { type Cli, createCli, TOKEN } from './run-cli.ts'

let server: Awaited<ReturnType<typeof startRecordingServer>>
let cli: Cli

beforeAll(async () => {
  server = await startRecordingServer()
  cli = createCli(server)
})

afterAll(async () => {
  await server.stop()
  cli.remove()
})

const grantTerms = {
  subjects: ['group:devs', 'user:alice'],
  role: 'viewer',
  clusters: ['prod'],
  namespaces: { names: ['shop', 'team-*'] },
  notAfter: '2027-01-01T00:00:00Z',
}

test.each<{ args: string[]; call: string; body?: unknown; input?: string }>([
  { args: ['whoami'], call: 'GET /v1/whoami' },
  {
    args: ['user', 'create', 'alice', '--display-name', 'Alice A', '--password'],
    input: 'secret words\n',
    call: 'POST /v1/users',
    body: {
      name: 'alice',
      displayName: 'Alice A',
      kind: 'USER_KIND_HUMAN',
      password: 'secret words',
    },
  },
  {
    args: ['user', 'create', 'ci', '--service'],
    call: 'POST /v1/users',
    body: { name: 'ci', displayName: '', kind: 'USER_KIND_SERVICE', password: '' },
  },
  { args: ['user', 'list'], call: 'GET /v1/users?pageSize=500' },
  { args: ['user', 'show', 'a/b'], call: 'GET /v1/users/a%2Fb' },
  {
    args: ['user', 'disable', 'alice', '--reason', 'left'],
    call: 'POST /v1/users/alice/disable',
    body: { reason: 'left' },
  },
  { args: ['user', 'enable', 'alice'], call: 'POST /v1/users/alice/enable', body: {} },
  { args: ['user', 'delete', 'alice'], call: 'DELETE /v1/users/alice' },
  {
    args: ['user', 'set-password', 'alice', '--own'],
    input: 'old one\nnew one\n',
    call: 'POST /v1/users/alice/password',
    body: { oldPassword: 'old one', newPassword: 'new one' },
  },
  {
    args: ['group', 'create', 'ops', '--platform-role', 'auditor'],
    call: 'POST /v1/groups',
    body: { name: 'ops', platformRole: 'PLATFORM_ROLE_AUDITOR' },
  },
  { args: ['group', 'list'], call: 'GET /v1/groups?pageSize=500' },
  { args: ['group', 'show', 'ops'], call: 'GET /v1/groups/ops' },
  { args: ['group', 'delete', 'ops'], call: 'DELETE /v1/groups/ops' },
  {
    args: ['group', 'add', 'ops', 'alice'],
    call: 'POST /v1/groups/ops/members',
    body: { user: 'alice' },
  },
  { args: ['group', 'remove', 'ops', 'alice'], call: 'DELETE /v1/groups/ops/members/alice' },
  {
    args: ['role', 'create', 'viewer', '--verb', 'get,list', '--resource', 'pods,pods/log'],
    call: 'POST /v1/roles',
    body: {
      name: 'viewer',
      description: '',
      rules: [{ verbs: ['get', 'list'], apiGroups: [''], resources: ['pods', 'pods/log'] }],
    },
  },
  { args: ['role', 'list'], call: 'GET /v1/roles?pageSize=500' },
  { args: ['role', 'show', 'viewer'], call: 'GET /v1/roles/viewer' },
  { args: ['role', 'delete', 'viewer'], call: 'DELETE /v1/roles/viewer' },
  {
    args: 'grant create devs --subject group:devs --subject user:alice --role viewer --cluster prod'
      .concat(' --namespace shop --namespace team-* --until 2027-01-01T00:00:00Z')
      .split(' '),
    call: 'POST /v1/grants',
    body: { name: 'devs', terms: grantTerms },
  },
  {
    args: ['grant', 'create', 'all', '--subject', 'group:a', '--role', 'r', '--all-clusters'],
    call: 'POST /v1/grants',
    body: {
      name: 'all',
      terms: {
        subjects: ['group:a'],
        role: 'r',
        clusters: [],
        clusterSelector: { matchLabels: {} },
        namespaces: { all: true },
      },
    },
  },
  { args: ['grant', 'list'], call: 'GET /v1/grants?pageSize=500' },
  { args: ['grant', 'show', 'devs'], call: 'GET /v1/grants/devs' },
  {
    args: ['grant', 'revoke', 'devs', '--reason', 'too wide'],
    call: 'DELETE /v1/grants/devs?reason=too wide',
  },
  {
    args: [
      'cluster',
      'create',
      'prod',
      '--label',
      'env=prod',
      '--label',
      'a=b=c',
      '--level',
      'view',
    ],
    call: 'POST /v1/clusters',
    body: {
      name: 'prod',
      labels: { env: 'prod', a: 'b=c' },
      installLevel: 'INSTALL_LEVEL_VIEW',
    },
  },
  { args: ['cluster', 'list'], call: 'GET /v1/clusters?pageSize=500' },
  { args: ['cluster', 'show', 'prod'], call: 'GET /v1/clusters/prod' },
  {
    args: ['cluster', 'label', 'prod', 'env=dev'],
    call: 'PUT /v1/clusters/prod/labels',
    body: { labels: { env: 'dev' } },
  },
  { args: ['cluster', 'join', 'prod'], call: 'POST /v1/clusters/prod/join-manifest', body: {} },
  {
    args: ['cluster', 'remove-agent', 'prod', 'a1'],
    call: 'DELETE /v1/clusters/prod/agents/a1',
  },
  { args: ['cluster', 'delete', 'prod'], call: 'DELETE /v1/clusters/prod' },
  {
    args: ['session', 'list', '--user', '*', '--ended'],
    call: 'GET /v1/sessions?user=*&ended=true&pageSize=500',
  },
  { args: ['session', 'show', 's1', '-o', 'json'], call: 'GET /v1/sessions/s1' },
  { args: ['session', 'end', 's1'], call: 'DELETE /v1/sessions/s1' },
  {
    args: ['token', 'create', '--user', 'ci', '--lifetime', '90m', '--description', 'deploys'],
    call: 'POST /v1/tokens',
    body: { user: 'ci', description: 'deploys', lifetime: '5400s' },
  },
  { args: ['token', 'list'], call: 'GET /v1/tokens?pageSize=500' },
  { args: ['token', 'revoke', 't1'], call: 'DELETE /v1/tokens/t1' },
  { args: ['kubeconfig', 'prod'], call: 'GET /v1/kubeconfig?cluster=prod' },
  {
    args: ['audit', 'list', '--user', 'alice', '--limit', '7', '--open'],
    call: 'GET /v1/audit/records?user=alice&pageSize=7&openOnly=true',
  },
  {
    args: ['rebuild', 'policy', '--verify'],
    call: 'POST /v1/logs/policy/rebuild',
    body: { verify: true },
  },
])('postern $args asks the API for $call', async ({ args, call, body, input }) => {
  server.answer(() => undefined)
  const { code, stderr } = await cli.run(args, input)
  expect(stderr).toBe('')
  expect(code).toBe(0)
  expect(server.asked).toEqual([{ call, token: TOKEN, body }])
})

test('explain asks as the gateway would decide, and says no by its exit code', async () => {
  server.answer(() => ({
    body: { allowed: false, reason: 'no grant', missing: ['a grant on prod', 'x\u001B[2J'] },
  }))
  const asked = ['explain', 'get', 'pods/log', 'web', '--cluster', 'prod', '--namespace', 'shop']
  const no = await cli.run(asked)
  expect(no).toMatchObject({ code: 1, stderr: '' })
  expect(no.stdout).toMatch(/ALLOWED.*\nno .*no grant\n {2}a grant on prod\n {2}x\\u001b\[2J\n$/)
  expect(server.asked[0]).toMatchObject({
    call: 'POST /v1/explain',
    body: { verb: 'get', resource: 'pods/log', name: 'web', cluster: 'prod', namespace: 'shop' },
  })
  server.answer(() => ({ body: { allowed: true, grantName: 'devs' } }))
  const yes = await cli.run(['explain', 'get', '/healthz', '--cluster', 'prod', '-o', 'json'])
  expect(yes.code).toBe(0)
  expect(JSON.parse(yes.stdout)).toEqual({ allowed: true, grantName: 'devs' })
  expect(server.asked[0]?.body).toMatchObject({ nonResourceUrl: '/healthz' })
})

test('sessions are shown with the names of their clusters, also of one that is gone', async () => {
  server.answer(({ call }) => ({
    body: call.startsWith('GET /v1/clusters')
      ? { clusters: [{ id: 'c1', name: 'prod' }] }
      : {
          sessions: [
            { id: 's1', userName: 'alice', clusterId: 'c1', state: 'SESSION_STATE_ACTIVE' },
            { id: 's2', userName: 'bob', clusterId: 'c2', state: 'SESSION_STATE_OPENING' },
          ],
        },
  }))
  const { stdout } = await cli.run(['session', 'list'])
  expect(stdout.split('\n').map((line) => line.split(/ {2,}/).slice(0, 4))).toMatchObject([
    ['ID', 'USER', 'CLUSTER', 'STATE'],
    ['s1', 'alice', 'prod', 'active'],
    ['s2', 'bob', 'c2', 'opening'],
    [''],
  ])
})

test('a list of many pages is one list, in each form', async () => {
  server.answer(({ call }) => ({
    body: call.includes('pageToken')
      ? { groups: [{ id: 'g2', name: 'ops', members: ['bob'] }] }
      : { groups: [{ id: 'g1', name: 'devs', members: ['alice', 'eve'] }], nextPageToken: 'devs' },
  }))
  const names = [{ name: 'devs' }, { name: 'ops' }]
  expect(JSON.parse((await cli.run(['group', 'list', '-o', 'json'])).stdout)).toMatchObject(names)
  expect(parse((await cli.run(['-o', 'yaml', 'group', 'list'])).stdout)).toMatchObject(names)
  expect((await cli.run(['group', 'list'])).stdout).toMatch(/^NAME .*\ndevs .*alice, eve.*\nops /)
})

test.each([
  [400, 1],
  [401, 3],
  [403, 1],
  [404, 1],
  [409, 1],
  [429, 1],
  [500, 4],
  [503, 4],
])('an answer of %i ends with exit code %i and its words', async (status, code) => {
  server.answer(() =>
    problem(status, { detail: 'because so', details: { name: 'devs' }, traceId: 'abc' }),
  )
  const outcome = await cli.run(['group', 'show', 'devs'])
  expect(outcome).toEqual({
    code,
    stdout: '',
    stderr: 'error: because so; name: devs; trace abc\n',
  })
})

test.each([
  { name: 'a page of something in between', reply: { type: 'text/html', body: '<h1>ptk_x</h1>' } },
  { name: 'a redirection', reply: { status: 302, body: '{}' } },
  {
    name: 'an error that is none of ours',
    reply: { status: 502, type: 'text/html', body: 'ptk_x' },
  },
])('$name is not taken for an answer, and nothing of it is shown', async ({ reply }) => {
  server.answer(() => reply)
  const { code, stdout, stderr } = await cli.run(['whoami'])
  expect(code).toBe(4)
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^error: what answered is not the Postern API/)
  expect(stderr).not.toContain('ptk_x')
  expect(server.asked).toHaveLength(1)
})

test.each([
  { args: [] },
  { args: ['grant', 'crate'] },
  { args: ['cluster', 'create'] },
  { args: ['group', 'list', '-o', 'xml'] },
  { args: ['group', 'list', '--unknown'] },
  { args: ['group', 'create', 'a', '--platform-role', 'god'] },
  { args: ['cluster', 'create', 'a', '--level', 'root'] },
  { args: ['cluster', 'label', 'a', 'no-value'] },
  { args: ['grant', 'create', 'a', '--subject', 'user:a', '--role', 'r'] },
  { args: ['token', 'create', '--lifetime', 'forever'] },
  { args: ['audit', 'list', '--limit', 'all'] },
  { args: ['audit', 'tail', '--from', '-1'] },
  { args: ['apply', '-f', '/does/not/exist'] },
  { args: ['rebuild', 'gateway'] },
  { args: ['completion', 'tcsh'] },
  { args: ['user', 'create', 'a', '--password'] },
])('wrong usage $args ends with exit code 2, and reaches nobody', async ({ args }) => {
  server.answer(() => undefined)
  const { code, stderr } = await cli.run(args)
  expect([code, stderr]).toEqual([2, expect.stringMatching(/\S/)])
  expect(server.asked).toEqual([])
})

test('help and the version are no failures', async () => {
  for (const args of [['--help'], ['cluster', '--help'], ['cluster', 'create', '--help'], ['-V']]) {
    expect(await cli.run(args)).toMatchObject({ code: 0, stderr: '' })
  }
  expect((await cli.run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
})

test('a Postern that is not there is said to be so, without the token', async () => {
  const outcome = await cli.runWith(
    { POSTERN_CLI_URL: 'https://127.0.0.1:1', POSTERN_CLI_TOKEN: TOKEN },
    ['whoami'],
  )
  expect(outcome.code).toBe(4)
  expect(outcome.stderr).toMatch(/^error: Postern cannot be reached at https:\/\/127.0.0.1:1: /)
  expect(outcome.stderr).not.toContain(TOKEN)
})

test('a server that the roots do not vouch for is told nothing', async () => {
  server.answer(() => undefined)
  const variables = { POSTERN_CLI_URL: server.url, POSTERN_CLI_TOKEN: TOKEN }
  expect(await cli.runWith(variables, ['whoami'])).toMatchObject({ code: 4 })
  expect(server.asked).toEqual([])
})

test.each(['http://127.0.0.1:1', 'ftp://x', 'https://me:secret@x', 'nonsense'])(
  'a token is not sent to %s',
  async (url) => {
    const outcome = await cli.runWith({ POSTERN_CLI_URL: url, POSTERN_CLI_TOKEN: TOKEN }, [
      'whoami',
    ])
    expect(outcome).toMatchObject({ code: 2, stdout: '' })
    expect(outcome.stderr).not.toMatch(/secret|ptk_/)
  },
)

test('a kubeconfig in a file is for its owner alone, whatever the file was before', async () => {
  const text = 'kind: Config\nusers: [{ user: { token: ptk_of_the_file } }]\n'
  server.answer(() => ({ type: 'application/yaml', body: text }))
  expect((await cli.run(['kubeconfig'])).stdout).toBe(text)
  const file = join(cli.home, 'kubeconfig')
  writeFileSync(file, 'old', { mode: 0o644 })
  const { stdout } = await cli.run(['kubeconfig', '--file', file])
  expect(readFileSync(file, 'utf8')).toBe(text)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(stdout).not.toContain('ptk_')
})

test('a projection that is not the fold of its log is a failure', async () => {
  const rows = (equal: boolean) => ({ projections: [{ projection: 'p', events: '7', equal }] })
  server.answer(({ call }) => ({ body: rows(!call.includes('audit')) }))
  const { code, stdout, stderr } = await cli.run(['rebuild', '--verify'])
  expect(code).toBe(1)
  expect(stdout).toMatch(/audit +p +7 +DIFFERENT/)
  expect(stderr).toBe('error: a projection is not the fold of its log\n')
  expect(server.asked).toHaveLength(5)
})

test('what is tailed is told once, in order, across a restart', async () => {
  let times = 0
  server.answer(({ call }) => {
    if (!call.includes('ascending')) return { body: { records: [{ index: '4', event: '{}' }] } }
    times += 1
    if (times === 2) return problem(503, { detail: 'stopping' })
    if (times === 4) return problem(403, { detail: 'no more' })
    const after = Number(/afterIndex=(\d+)/.exec(call)?.[1])
    return { body: { records: [{ index: String(after + 1), event: `{"n":${after + 1}}` }] } }
  })
  const { code, stdout } = await cli.run(['audit', 'tail', '-o', 'json'])
  expect(stdout).toBe('{"n":5}\n{"n":6}\n')
  expect(code).toBe(1)
})
