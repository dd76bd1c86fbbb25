import { expect, test } from 'vitest'
import { agentErrorHead, agentErrorOf } from './agent-error.ts'
import { toResponseHead } from './response-head.ts'
import { forwardableResponseHeaders } from './response-headers.ts'

test('clients get what they need of the cluster, and nothing that speaks for the gateway', () => {
  const kept = [
    ['Content-Type', 'application/json'],
    ['ETag', 'x'],
    ['Vary', 'Accept'],
    ['Warning', '299 - "a"'],
    ['Warning', '299 - "b"'],
    ['Retry-After', '1'],
    ['X-Kubernetes-PF-FlowSchema-UID', 'u'],
    ['Sec-WebSocket-Protocol', 'v5.channel.k8s.io'],
  ] as const
  const dropped = [
    ['Set-Cookie', 'a=b'],
    ['Strict-Transport-Security', 'max-age=1'],
    ['Access-Control-Allow-Origin', '*'],
    ['Location', 'https://x'],
    ['Connection', 'close'],
    ['Transfer-Encoding', 'chunked'],
    ['postern-agent-error', 'no-token'],
  ] as const
  expect(forwardableResponseHeaders([...kept, ...dropped])).toEqual(kept)
})

test('what an agent says of itself cannot come from a cluster', () => {
  const { headers } = agentErrorHead('no-token')
  expect(agentErrorOf({ status: 503, headers })).toBe('no-token')
  expect(agentErrorOf(toResponseHead(503, headers))).toBeUndefined()
})

test('an error that only newer agents know still says that nothing was sent', () => {
  const headers = [['Postern-Agent-Error', 'constructor']] as const
  expect(agentErrorOf({ status: 503, headers })).toBe('upstream-unreachable')
})
