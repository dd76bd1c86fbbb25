import { expect, test } from 'vitest'
import { toOpenApi } from '../openapi/to-openapi.ts'
import { readPublicApi } from './public-api-codec.ts'

const api = readPublicApi()
const { routes, registry } = api
const names = routes.map(({ method }) => `${method.parent.name}.${method.name}`)

test('no two calls have the same route', () => {
  const keys = routes.map(({ verb, template }) => `${verb} ${template}`)
  expect(new Set(keys).size).toBe(keys.length)
})

test('what parts of Postern call of each other is no public route', () => {
  const internal =
    /^(IngestService|AgentService|AgentSessionService|RelayService|EventLogService|CertificateAuthorityService)\.|\.(OpenSession|ReportActivity|AuthenticateToken)$/
  expect(names.filter((name) => internal.test(name))).toEqual([])
})

test('only set-up and login work without signing in', () => {
  const open = routes.filter(({ isSignedOut }) => isSignedOut).map(({ method }) => method.name)
  expect(open.sort()).toEqual(['Login', 'SetUp'])
})

test('a field of the path is a field of the message', () => {
  const members = routes.find(({ method }) => method.name === 'RemoveGroupMember')
  expect(members?.pathFields).toEqual(
    new Map([
      ['group', 'group'],
      ['user', 'user'],
    ]),
  )
})

test('every call is described, and every reference leads somewhere', () => {
  const text = JSON.stringify(toOpenApi(api))
  const described: { components: { schemas: Record<string, unknown> } } = JSON.parse(text)
  const references = new Set(
    [...text.matchAll(/#\/components\/schemas\/([A-Za-z0-9_.]+)/g)].map(([, name]) => name),
  )
  for (const name of references) expect(described.components.schemas).toHaveProperty([name ?? ''])
  expect(names.length).toBeGreaterThan(30)
  expect(registry.getMessage('postern.policy.v1.Grant')).toBeDefined()
})
