import type { HeaderLines } from '@postern/kube-http'
import { expect, test } from 'vitest'
import { bearerToken } from './bearer-token.ts'

const inProtocol = (token: string) =>
  `base64url.bearer.authorization.k8s.io.${Buffer.from(token).toString('base64url')}`

test.each<{ headers: HeaderLines }>([
  { headers: [['Authorization', 'Bearer abc']] },
  { headers: [['authorization', 'bearer   abc']] },
  { headers: [['Sec-WebSocket-Protocol', `${inProtocol('abc')}, v5.channel.k8s.io`]] },
])('HH-09: $headers carries one token', ({ headers }) => {
  expect(bearerToken(headers)).toEqual({ kind: 'token', token: 'abc' })
})

test.each<{ headers: HeaderLines }>([
  {
    headers: [
      ['Authorization', 'Bearer a'],
      ['Authorization', 'Bearer a'],
    ],
  },
  { headers: [['Authorization', 'Basic YTpi']] },
  { headers: [['Authorization', 'Bearer']] },
  { headers: [['Authorization', 'Bearer a b']] },
  {
    headers: [
      ['Authorization', 'Bearer a'],
      ['Sec-WebSocket-Protocol', `${inProtocol('b')}, x`],
    ],
  },
  { headers: [['Sec-WebSocket-Protocol', inProtocol('alone')]] },
  { headers: [['Sec-WebSocket-Protocol', `${inProtocol('a')}, ${inProtocol('b')}, x`]] },
  { headers: [['Sec-WebSocket-Protocol', 'base64url.bearer.authorization.k8s.io.$$$, x']] },
])('HH-08: $headers is malformed, and no token is taken from it', ({ headers }) => {
  expect(bearerToken(headers)).toEqual({ kind: 'malformed' })
})

test('a cookie is no token', () => {
  expect(bearerToken([['Cookie', 'token=abc']])).toEqual({ kind: 'none' })
})
