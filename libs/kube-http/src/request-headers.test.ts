import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { HeaderLines } from './header-lines.ts'
import {
  contentLengthOf,
  findForbiddenHeader,
  findIdentityHeader,
  forwardableRequestHeaders,
} from './request-headers.ts'

test.each([
  'Impersonate-User',
  'impersonate-group',
  'IMPERSONATE-EXTRA-scopes',
  'Impersonate_Uid',
  'X-Remote-User',
  'x_remote_group',
  'X-Remote_Extra-x',
])('%s claims an identity', (name) => {
  expect(
    findIdentityHeader([
      ['Accept', 'x'],
      [name, 'y'],
    ]),
  ).toBe(name)
  expect(forwardableRequestHeaders([[name, 'y']])).toEqual([])
  expect(findForbiddenHeader([[name, 'y']])).toBe(name)
})

test('repeated lines stay repeated, in their order', () => {
  const headers = ['v4', 'v3', 'v2'].map((value) => ['X-Stream-Protocol-Version', value] as const)
  expect(forwardableRequestHeaders(headers)).toEqual(headers)
})

test('what Connection names is dropped from what the client sent', () => {
  const headers: HeaderLines = [
    ['Connection', 'close, ACCEPT'],
    ['Accept', 'x'],
    ['User-Agent', 'kubectl'],
  ]
  expect(forwardableRequestHeaders(headers)).toEqual([['User-Agent', 'kubectl']])
})

test.each([
  ['Authorization'],
  ['Cookie'],
  ['Audit-ID'],
  ['X-Forwarded-For'],
  ['X-Real-Ip'],
  ['Forwarded'],
  ['X-HTTP-Method-Override'],
  ['Host'],
  ['Expect'],
  ['TE'],
  ['Trailer'],
  ['Transfer-Encoding'],
  ['Upgrade'],
  ['HTTP2-Settings'],
  ['Keep-Alive'],
  ['Proxy-Authorization'],
  ['Sec-WebSocket-Extensions'],
  ['X-Whatever'],
])('%s stays here', (name) => {
  expect(forwardableRequestHeaders([[name, 'x']])).toEqual([])
})

test('the subprotocol that carries a token stays here, the others go on', () => {
  const bearer = 'base64url.bearer.authorization.k8s.io.c2VjcmV0'
  const headers: HeaderLines = [
    ['Sec-WebSocket-Protocol', `v5.channel.k8s.io, ${bearer}`],
    ['Sec-WebSocket-Protocol', bearer.toUpperCase()],
  ]
  expect(forwardableRequestHeaders(headers)).toEqual([
    ['Sec-WebSocket-Protocol', 'v5.channel.k8s.io'],
  ])
})

test('nothing that a gateway lets through is what an agent refuses', () => {
  const name = fc.oneof(
    fc.constantFrom('Accept', 'Host', 'Connection', 'Impersonate-User', 'X_Remote_User', 'Origin'),
    fc.string({ unit: 'grapheme-ascii', maxLength: 12 }),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(name, fc.string()), { maxLength: 8 }), (headers) => {
      expect(findForbiddenHeader(forwardableRequestHeaders(headers))).toBeUndefined()
    }),
    { numRuns: 5_000 },
  )
})

test.each([
  { lines: [], length: 'none' },
  { lines: ['12'], length: 12 },
  { lines: [' 0 '], length: 0 },
  { lines: ['1', '1'], length: undefined },
  { lines: ['-1'], length: undefined },
  { lines: ['1, 1'], length: undefined },
  { lines: ['0x1'], length: undefined },
  { lines: ['9'.repeat(16)], length: undefined },
])('a length of $lines is $length', ({ lines, length }) => {
  expect(contentLengthOf(lines.map((line) => ['Content-Length', line] as const))).toBe(length)
})
