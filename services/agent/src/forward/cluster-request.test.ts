import { HeadError, prepareLines, writeRequestHead } from '@postern/kube-http'
import { expect, test } from 'vitest'
import { type GatewayHead, toClusterRequest } from './cluster-request.ts'
import { gatewayLines } from './gateway-lines.ts'

/** As a head on the tunnel has them, whatever they hold: texts of less than 128 bytes. */
function encoded(lines: readonly (readonly [name: string, value: string])[]): string {
  const text = (part: string) => String.fromCharCode(part.length) + part
  const all = lines.map(([name, value]) => text(name) + text(value))
  return String.fromCharCode(lines.length) + all.join('')
}

const HEAD: GatewayHead = {
  sessionId: 's',
  auditId: 'audit-1',
  traceparent: '',
  method: 'GET',
  target: '/api/v1/pods?limit=5',
  headers: gatewayLines(encoded([['Accept', 'application/json']])),
}
const OURS = {
  credential: prepareLines([['Authorization', 'Bearer jit-token']]),
  traceparent: '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01',
}

test('what goes to kube-apiserver begins with who asks, and has nothing of a gateway but its lines', () => {
  expect(writeRequestHead(toClusterRequest(HEAD, OURS)).split('\r\n')).toEqual([
    'GET /api/v1/pods?limit=5 HTTP/1.1',
    'Authorization: Bearer jit-token',
    'Audit-ID: audit-1',
    `Traceparent: ${OURS.traceparent}`,
    'Accept: application/json',
    '',
    '',
  ])
})

test.each([
  { name: 'a line break in a value', line: ['Accept', 'a\r\nAuthorization: Bearer stolen'] },
  { name: 'a line feed in a value', line: ['Accept', 'a\nb'] },
  { name: 'a null byte in a value', line: ['Accept', '\0'] },
  { name: 'a line break in a name', line: ['A\r\nImpersonate-User', 'admin'] },
  { name: 'a colon in a name', line: ['Impersonate-User: admin', ''] },
  { name: 'no name', line: ['', 'a'] },
  { name: 'a credential', line: ['Authorization', 'Bearer stolen'] },
  { name: 'an identity', line: ['impersonate_user', 'admin'] },
  { name: 'a framing', line: ['Transfer-Encoding', 'chunked'] },
] as const)('$name in the head of a gateway is refused, not trusted', ({ line }) => {
  expect(() => gatewayLines(encoded([line]))).toThrow(HeadError)
})

test('lines that are known from before are no others', () => {
  const accept = (value: string) => gatewayLines(encoded([['Accept', value]])).prepared.text
  for (let round = 0; round < 2; round += 1) {
    for (let index = 0; index < 500; index += 1) {
      expect(accept(`type/${index}`)).toBe(`Accept: type/${index}\r\n`)
    }
  }
})

test.each([
  { name: 'a cut', change: (text: string) => text.slice(0, -1) },
  { name: 'something behind them', change: (text: string) => `${text}x` },
])('known lines with $name are refused', ({ change }) => {
  const text = encoded([['Accept', 'a']])
  gatewayLines(text)
  expect(() => gatewayLines(change(text))).toThrow(HeadError)
})

test.each([
  { name: 'a target that is not canonical', change: { target: '/api//v1/pods' } },
  { name: 'a target that ends the line', change: { target: '/api HTTP/1.1\r\nA: b' } },
  { name: 'a method that no client may use', change: { method: 'CONNECT' } },
])('$name is refused, not trusted', ({ change }) => {
  expect(() => toClusterRequest({ ...HEAD, ...change }, OURS)).toThrow(HeadError)
})
