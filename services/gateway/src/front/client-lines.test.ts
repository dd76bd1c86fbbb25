import type { HeaderLines } from '@postern/kube-http'
import { expect, test } from 'vitest'
import { clientLines } from './client-lines.ts'
import type { ConnectionMemory } from './peer.ts'

const linesOf = (token: string): HeaderLines => [
  ['Host', 'demo.localhost'],
  ['User-Agent', 'kubectl/v1.35.4'],
  ['Accept', 'application/json'],
  ['Authorization', `Bearer ${token}`],
  ['Kubectl-Session', 's-1'],
]
const said = (headers: HeaderLines, memory: ConnectionMemory = {}) =>
  clientLines(headers, { memory, remoteAddress: '10.0.0.1' })

test('what is recorded, believed and forwarded of the lines', () => {
  expect(said([...linesOf('a'), ['Impersonate-User', 'root'], ['X-Other', 'y']])).toMatchObject({
    presented: { kind: 'token', token: 'a' },
    identityHeader: 'Impersonate-User',
    userAgent: 'kubectl/v1.35.4',
    kubectlSession: 's-1',
    kubectlCommand: undefined,
  })
})

test('neither the token nor anything that was not asked for goes on to the cluster', () => {
  const { text } = said([...linesOf('a-token'), ['X-Forwarded-For', '6.6.6.6']]).forwarded
  expect(text).toContain('kubectl/v1.35.4')
  expect(text).toContain('10.0.0.1')
  expect(text).not.toMatch(/a-token|6\.6\.6\.6|demo/)
})

test('the same lines of a connection are read once; with others nothing of the ones before is left', () => {
  const memory: ConnectionMemory = {}
  const first = linesOf('a')
  const read = said(first, memory)
  expect(said(first, memory)).toBe(read)
  expect(said(linesOf('b'), memory).presented).toEqual({ kind: 'token', token: 'b' })
  expect(said([['Host', 'demo.localhost']], memory)).toMatchObject({
    presented: { kind: 'none' },
    userAgent: undefined,
    kubectlSession: undefined,
  })
})
