import { expect, test } from 'vitest'
import { routeCluster } from './route-cluster.ts'

const domain = 'postern.localhost'

test.each([
  { authority: 'demo.postern.localhost:8443', target: '/api', cluster: 'demo', rest: '/api' },
  { authority: 'DEMO.postern.localhost.', target: '/api', cluster: 'demo', rest: '/api' },
  { authority: 'demo.localhost', target: '/api', cluster: 'demo', rest: '/api' },
  { authority: 'postern.localhost', target: '/clusters/demo/api', cluster: 'demo', rest: '/api' },
  { authority: '[::1]:8443', target: '/clusters/demo', cluster: 'demo', rest: '/' },
  { authority: '127.0.0.1', target: '/clusters/demo?x=1', cluster: 'demo', rest: '/?x=1' },
  { authority: 'a.localhost', target: '/clusters/b/api', cluster: 'a', rest: '/clusters/b/api' },
])('$authority $target is for $cluster', ({ authority, target, cluster, rest }) => {
  const route = routeCluster({ authority, target, serverName: undefined }, domain)
  expect(route).toEqual({ clusterName: cluster, target: rest })
})

test.each([
  { authority: 'postern.localhost', target: '/api' },
  { authority: 'a.b.postern.localhost', target: '/api' },
  { authority: 'demo.postern.localhost.evil.example', target: '/api' },
  { authority: 'evildemo', target: '/clusters/%64emo/api' },
  { authority: '127.0.0.1', target: '/clusters/demo%2Fapi' },
  { authority: '127.0.0.1', target: '/clusters/../api' },
  { authority: '127.0.0.1', target: '//clusters/demo/api' },
  { authority: 'user@demo.localhost', target: '/api' },
  { authority: 'demo.localhost:99999999', target: '/api' },
  { authority: '', target: '/api' },
])('$authority $target names no cluster', ({ authority, target }) => {
  expect(routeCluster({ authority, target, serverName: undefined }, domain)).toHaveProperty(
    'refusal',
  )
})
