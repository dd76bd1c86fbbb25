import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Asked, problem, type Reply, startRecordingServer } from './recording-server.ts'
import { type Cli, createCli } from './run-cli.ts'

let server: Awaited<ReturnType<typeof startRecordingServer>>
let cli: Cli
const roles = new Map<string, object>()
const grants = new Map<string, object>()

beforeAll(async () => {
  server = await startRecordingServer()
  cli = createCli(server)
})

beforeEach(() => {
  roles.clear()
  grants.clear()
  server.answer(answer)
})

afterAll(async () => {
  await server.stop()
  cli.remove()
})

/** Keeps roles and grants as the API does, and shows every field of them. */
function answer({ call, body }: Asked): Reply {
  const [, kind = '', name = ''] = /\/v1\/(roles|grants)(?:\/([^?]+))?/.exec(call) ?? []
  const kept = kind === 'roles' ? roles : grants
  const given = Object.fromEntries(Object.entries(body ?? {}))
  if (call.startsWith('GET')) return { body: { [kind]: [...kept.values()] } }
  if (given['description'] === 'refuse me') return problem(400, { detail: 'no such verb' })
  const id = call.startsWith('POST') ? String(given['name']) : name
  const empty = kind === 'roles' ? { description: '', rules: [] } : {}
  kept.set(id, { ...empty, id: `id-of-${id}`, name: id, ...given })
  return { body: {} }
}

const writes = () => server.asked.map(({ call }) => call).filter((call) => !call.startsWith('GET'))

const file = (verbs: string, description = 'looks') => {
  const path = join(cli.home, 'policy.yaml')
  writeFileSync(
    path,
    `kind: Grant
name: devs
terms:
  subjects: [group:devs]
  role: viewer
  clusterSelector: {}
  namespaces: { all: true }
---
kind: Role
name: viewer
description: ${description}
rules:
  - verbs: [${verbs}]
    apiGroups: ['']
    resources: [pods]
`,
  )
  return path
}

test('what is not there is made, roles first; what is there is left alone; what differs is changed', async () => {
  const first = await cli.run(['apply', '-f', file('get, list')])
  expect(first).toMatchObject({ code: 0, stderr: '' })
  expect(first.stdout).toMatch(/^\+ Role viewer\n[\s\S]*\n\+ Grant devs\n/)
  expect(writes()).toEqual(['POST /v1/roles', 'POST /v1/grants'])
  expect(roles.get('viewer')).toMatchObject({ description: 'looks' })
  expect(grants.get('devs')).toMatchObject({ terms: { clusterSelector: {} } })

  server.asked.splice(0)
  const second = await cli.run(['apply', '-f', file('get, list')])
  expect(second).toEqual({ code: 0, stdout: '= Role viewer\n= Grant devs\n', stderr: '' })
  expect(writes()).toEqual([])

  const third = await cli.run(['apply', '-f', file('get')])
  expect(third.stdout).toMatch(/^~ Role viewer\n[\s\S]*- {7}- list[\s\S]*\n= Grant devs\n$/)
  expect(writes()).toEqual(['PUT /v1/roles/viewer'])
  expect(server.asked.at(-1)?.body).toMatchObject({ rules: [{ verbs: ['get'] }] })
})

test('a dry run shows the same and changes nothing', async () => {
  const shown = await cli.run(['apply', '--dry-run', '-f', file('get')])
  expect(writes()).toEqual([])
  expect(await cli.run(['apply', '-f', file('get')])).toEqual(shown)
})

test('programs get what was done, and may give the file on standard input', async () => {
  const text = 'kind: Role\nname: one\n---\nkind: Role\nname: two\n'
  await cli.run(['apply', '-f', '-'], 'kind: Role\nname: one\n')
  const { stdout } = await cli.run(['apply', '-f', '-', '-o', 'json'], text)
  expect(JSON.parse(stdout)).toEqual([
    { kind: 'Role', name: 'one', action: 'keep' },
    { kind: 'Role', name: 'two', action: 'create' },
  ])
})

test('a document that the API refuses is named, and nothing after it is done', async () => {
  const outcome = await cli.run(['apply', '-f', file('get', 'refuse me')])
  expect(outcome).toMatchObject({ code: 1, stderr: 'error: Role viewer: no such verb\n' })
  expect(writes()).toEqual(['POST /v1/roles'])
})

test.each([
  'kind: User\nname: a',
  'kind: Role',
  'kind: Role\nname: a\nrule: []',
  'kind: [',
  '- a',
  'kind: Role\nname: a\n---\nkind: Role\nname: a',
])('a file that says %j is refused before anything is asked', async (text) => {
  const { code, stderr } = await cli.run(['apply', '-f', '-'], text)
  expect([code, stderr]).toEqual([2, expect.stringMatching(/^error: .*(document|twice)/)])
  expect(server.asked).toEqual([])
})
