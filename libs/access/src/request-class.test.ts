import { expect, test } from 'vitest'
import {
  isDiscovery,
  isLongRunning,
  isSelfReview,
  requestClass,
  requiresIntent,
} from './request-class.ts'
import { parseRequestInfo } from './request-info.ts'

const asked = (request: string) => {
  const [method = '', target = ''] = request.split(' ')
  return parseRequestInfo(method, target)
}
const ns = '/api/v1/namespaces/a'

test.each([
  ['GET /api/v1/pods', 'read', false],
  ['GET /api/v1/pods?watch=1', 'read', true],
  [`GET ${ns}/pods/p/log?follow=true`, 'read', true],
  [`GET ${ns}/configmaps`, 'read', false],
  ['HEAD /api/v1/pods', 'read', false],
  ['GET /metrics', 'read', false],
  ['GET /debug/pprof/profile', 'read', true],
  ['POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews', 'read', false],
  [`GET ${ns}/secrets`, 'secret-read', false],
  [`GET ${ns}/secrets/s`, 'secret-read', false],
  ['GET /api/v1/secrets?watch', 'secret-read', true],
  [`GET ${ns}/serviceaccounts/s/token`, 'secret-read', false],
  [`POST ${ns}/pods`, 'write', false],
  [`PUT ${ns}/pods/p`, 'write', false],
  [`PATCH ${ns}/pods/p/ephemeralcontainers`, 'write', false],
  [`DELETE ${ns}/pods`, 'write', false],
  [`POST ${ns}/serviceaccounts/s/token`, 'write', false],
  [`POST ${ns}/pods/p/eviction`, 'write', false],
  ['POST /apis/authorization.k8s.io/v1/subjectaccessreviews', 'write', false],
  [`POST /apis/authorization.k8s.io/v1/namespaces/a/selfsubjectaccessreviews`, 'write', false],
  [`FOO ${ns}/pods`, 'write', false],
  ['POST /metrics', 'write', false],
  [`GET ${ns}/pods/p/exec?command=ls`, 'exec', true],
  [`POST ${ns}/pods/p/attach`, 'exec', true],
  [`GET ${ns}/pods/p/portforward`, 'exec', true],
  [`GET ${ns}/services/s/proxy/x`, 'exec', true],
  ['GET /api/v1/nodes/n/proxy/metrics', 'exec', true],
  ['GET /api/v1/proxy/nodes/n', 'exec', true],
])('%s is %s', (request, expected, long) => {
  expect(requestClass(asked(request))).toBe(expected)
  expect(requiresIntent(asked(request))).toBe(expected !== 'read')
  expect(isLongRunning(asked(request))).toBe(long)
})

test('whatever is upgraded to a stream is recorded first and has no deadline', () => {
  const console_ = asked('GET /apis/subresources.kubevirt.io/v1/namespaces/a/vmis/v/console')
  expect(requestClass(console_, true)).toBe('exec')
  expect(requiresIntent(console_, true)).toBe(true)
  expect(isLongRunning(console_, true)).toBe(true)
})

test.each([
  '/api',
  '/api/v1',
  '/api/v1/',
  '/apis',
  '/apis/apps',
  '/apis/apps/v1',
  '/openapi/v2',
  '/openapi/v3',
  '/openapi/v3/apis/apps/v1?hash=x',
  '/version',
  '/version/',
  '/healthz',
  '/livez',
  '/readyz',
  '/api?timeout=32s',
])('GET %s is discovery, other methods are not', (target) => {
  expect(isDiscovery(asked(`GET ${target}`))).toBe(true)
  expect(isDiscovery(asked(`POST ${target}`))).toBe(false)
})

test.each([
  '/',
  '/metrics',
  '/api/v1/pods',
  '/apis/apps/v1/deployments',
  '/openapi2',
  '/healthz/etcd',
  '/logs',
  '/debug/pprof/',
  '/API',
  '/apis//v1',
])('GET %s is no discovery', (target) => {
  expect(isDiscovery(asked(`GET ${target}`))).toBe(false)
})

test.each([
  ['POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews', true],
  ['POST /apis/authorization.k8s.io/v1/selfsubjectrulesreviews', true],
  ['POST /apis/authentication.k8s.io/v1beta1/selfsubjectreviews', true],
  ['POST /apis/authentication.k8s.io/v1/tokenreviews', false],
  ['POST /apis/authorization.k8s.io/v1/subjectaccessreviews', false],
  ['GET /apis/authorization.k8s.io/v1/selfsubjectaccessreviews', false],
  ['POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews/x', false],
  ['POST /apis/evil.example/v1/selfsubjectaccessreviews', false],
  ['POST /apis/authorization.k8s.io/v1/namespaces/a/selfsubjectaccessreviews', false],
])('%s is a self review: %s', (request, expected) => {
  expect(isSelfReview(asked(request))).toBe(expected)
})
