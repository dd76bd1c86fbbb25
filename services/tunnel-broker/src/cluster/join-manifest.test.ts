import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { createRenderJoinManifest, fill } from './join-manifest.ts'

const template =
  'a: {{joinToken}}\nb: [{{agentImage}}, {{clusterName}}, {{relays}}]\nc: {{roots}}\nd: {{tierNames}}\ne: {{trustDomain}}\n'
const cluster = { clusterId: 'c1', name: 'prod', labels: {}, installLevel: 2 }
const needs = {
  template,
  relayAddresses: () => Promise.resolve(['relay:443']),
  roots: () => '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n',
  trustDomain: 'postern.internal',
  agentImage: 'postern/agent:1',
}

test('whatever a value holds, it stays one value of the YAML', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (value) => {
      expect(parse(fill('x: {{v}}\ny: 1\n', { v: value }))).toEqual({ x: value, y: 1 })
    }),
  )
})

test.each([
  { name: 'a placeholder without a value', text: 'x: {{v}}\ny: {{w}}' },
  { name: 'a value without a placeholder', text: 'x: 1' },
])('$name is a fault of the template, and said so', ({ text }) => {
  expect(() => fill(text, { v: 1 })).toThrow(/the manifest/)
})

test('a cluster gets the roles of its install level and no higher', async () => {
  const manifest = await createRenderJoinManifest(needs)({ cluster, joinToken: 'pjt_x' })
  const documents = parseAllDocuments(manifest).map((document) => document.toJS())
  expect(documents[0]).toMatchObject({ a: 'pjt_x', d: ['postern-view', 'postern-edit'] })
  expect(documents.slice(1).map((role) => role.metadata.name)).toEqual([
    'postern-view',
    'postern-edit',
  ])
})

test('without a relay there is no manifest: its agent could reach nobody', async () => {
  const render = createRenderJoinManifest({ ...needs, relayAddresses: () => Promise.resolve([]) })
  await expect(render({ cluster, joinToken: 'pjt_x' })).rejects.toMatchObject({
    reason: 'NO_RELAY',
  })
})
