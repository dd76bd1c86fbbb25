import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { renderKubeconfig, serverOf } from './kubeconfig.ts'

const url = new URL('https://gateway.example.com:8443')
const gateway = { url, addressing: 'host' as const, ca: 'PEM' }
const user = { organization: 'acme', userName: 'alice@example.com', token: 'ptk_x' }

test('every cluster has a server of its own: caches of tools are keyed by it', () => {
  expect(serverOf(gateway, 'prod')).toBe('https://prod.gateway.example.com:8443')
  expect(serverOf({ ...gateway, addressing: 'path' }, 'prod')).toBe(
    'https://gateway.example.com:8443/clusters/prod',
  )
})

test('nothing is chosen for a user with several clusters', () => {
  const clusterNames = ['prod', 'test']
  expect(parse(renderKubeconfig({ ...user, gateway, clusterNames }))).toMatchObject({
    'current-context': '',
    contexts: [{ name: 'acme-prod' }, { name: 'acme-test' }],
    users: [
      { name: 'acme-alice@example.com@prod', user: { token: 'ptk_x' } },
      { name: 'acme-alice@example.com@test', user: { token: 'ptk_x' } },
    ],
  })
})

test('a public certificate needs no authority in the file', () => {
  const open = { ...gateway, ca: undefined }
  const file = parse(renderKubeconfig({ ...user, gateway: open, clusterNames: ['prod'] }))
  expect(file).toMatchObject({
    'current-context': 'acme-prod',
    clusters: [{ cluster: { server: 'https://prod.gateway.example.com:8443' } }],
  })
  expect(JSON.stringify(file)).not.toContain('certificate-authority-data')
})
