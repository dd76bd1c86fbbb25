import { Rejection } from '@postern/errors'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type CanonicalOptions, canonicalTarget } from './canonical-target.ts'

function accepted(target: string, options?: CanonicalOptions): string | undefined {
  try {
    return canonicalTarget(target, options).target
  } catch (error) {
    if (error instanceof Rejection && error.category === 'invalid_argument') return undefined
    throw error
  }
}

test.each([
  ['/', '/'],
  ['/api', '/api'],
  ['/api/v1/namespaces/a/secrets/', '/api/v1/namespaces/a/secrets'],
  ['/%61pi/v1/secrets', '/api/v1/secrets'],
  ['/api/v1/namespaces/a/%73ecrets', '/api/v1/namespaces/a/secrets'],
  ['/apis/x/v1/clusterroles/system%3Anode', '/apis/x/v1/clusterroles/system:node'],
  ['/apis/x/v1/clusterroles/a%20b', '/apis/x/v1/clusterroles/a%20b'],
  ['/apis/x/v1/things/%c3%a4', '/apis/x/v1/things/%C3%A4'],
  ['/api/v1/pods?', '/api/v1/pods'],
  ['/api/v1/pods?limit=5&continue=a%2Fb%3D', '/api/v1/pods?limit=5&continue=a%2Fb%3D'],
  [
    '/api/v1/pods/x/exec?command=echo%0Ahi&command=x',
    '/api/v1/pods/x/exec?command=echo%0Ahi&command=x',
  ],
  ['/api/v1/namespaces/a/pods/x/proxy/', '/api/v1/namespaces/a/pods/x/proxy/'],
  ['/api/v1/namespaces/a/pods/x/proxy/page/', '/api/v1/namespaces/a/pods/x/proxy/page/'],
])('%s has the one form %s', (target, canonical) => {
  expect(accepted(target)).toBe(canonical)
})

test.each([
  ['an empty segment', '//api/v1/secrets'],
  ['an empty segment inside, which kube takes for all namespaces', '/api/v1/namespaces//secrets'],
  ['two trailing slashes', '/api/v1/pods//'],
  ['a dot segment', '/api/v1/namespaces/../secrets'],
  ['an encoded dot segment', '/api/v1/namespaces/%2e%2e/secrets'],
  ['half an encoded dot segment', '/api/v1/namespaces/.%2E/secrets'],
  ['an encoded slash', '/api/v1/namespaces/a%2Fsecrets'],
  ['an encoded slash in small letters', '/api/v1/namespaces/a%2fsecrets'],
  ['an encoded backslash', '/api/v1/namespaces/a%5Csecrets'],
  ['a backslash', '/api/v1\\secrets'],
  ['double encoding', '/api/v1/namespaces/a%252Fsecrets'],
  ['a bad escape', '/api/v1/%zz/secrets'],
  ['half an escape', '/api/v1/secrets%2'],
  ['a null byte', '/api/v1/secrets%00'],
  ['a line feed', '/api/v1/secrets%0a'],
  ['overlong UTF-8 for a slash', '/api/v1/namespaces/a%c0%afsecrets'],
  ['a surrogate', '/api/v1/%ed%a0%80'],
  ['a control character above ASCII', '/api/v1/%c2%85'],
  ['a fragment', '/api/v1/pods#/../secrets'],
  ['a fragment in the query', '/api/v1/pods?a=1#x'],
  ['a raw space', '/api/v1/pods a'],
  ['a tab', '/api/v1/po\tds'],
  ['a byte above ASCII', '/api/v1/p\u00f6ds'],
  ['absolute form', 'http://other/api/v1/secrets'],
  ['asterisk form', '*'],
  ['nothing', ''],
  ['a semicolon in the query', '/api/v1/pods?watch=true;a=1'],
  ['a bad escape in the query', '/api/v1/pods?watch=%'],
  ['a raw space in the query', '/api/v1/pods?a= b'],
  ['watch twice', '/api/v1/pods?watch=false&watch=true'],
  ['watch twice, once encoded', '/api/v1/pods?watch=false&%77atch=true'],
  ['a selector twice', '/api/v1/pods?labelSelector=a&labelSelector=b'],
  ['an encoded slash in the tail of a proxy', '/api/v1/namespaces/a/pods/x/proxy/a%2Fb'],
])('%s is refused', (_, target) => {
  expect(accepted(target)).toBeUndefined()
})

test.each([
  ['a pod', '/api/v1/namespaces/a/pods/x/proxy/a%2Fb', '/api/v1/namespaces/a/pods/x/proxy/a%2Fb'],
  [
    'a service',
    '/api/v1/namespaces/a/services/x/proxy/a%2fb',
    '/api/v1/namespaces/a/services/x/proxy/a%2Fb',
  ],
  ['a node: never', '/api/v1/nodes/x/proxy/a%2Fb', undefined],
  ['a climb out of it', '/api/v1/namespaces/a/pods/x/proxy/..%2f..%2fy', undefined],
  ['an encoded backslash', '/api/v1/namespaces/a/pods/x/proxy/a%5Cb', undefined],
  ['a pretended proxy', '/api/v1/namespaces/a%2Fpods/x/proxy/a', undefined],
  ['before the tail', '/api/v1/namespaces/a/pods/x%2Fy/proxy/a', undefined],
])('with the option, slashes may be encoded in the tail of %s', (_, target, canonical) => {
  expect(accepted(target, { proxyTail: true })).toBe(canonical)
})

/** A segment that is fine, written in one of the many ways in which a client may write it. */
const segment = fc
  .tuple(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }), fc.nat())
  .map(([text, seed]) =>
    [...Buffer.from(text)]
      .map((byte, index) => {
        const isPlain = /[A-Za-z0-9._~-]/.test(String.fromCharCode(byte))
        if (isPlain && (seed >> (index % 16)) % 2 === 0) return String.fromCharCode(byte)
        const hex = byte.toString(16).padStart(2, '0')
        return `%${seed % 3 === 0 ? hex.toUpperCase() : hex}`
      })
      .join(''),
  )
/** Pieces that make a target wrong, or nearly. */
const piece = fc.oneof(
  { weight: 3, arbitrary: segment },
  { weight: 6, arbitrary: fc.constantFrom('/', '/', 'api', 'v1', 'pods', 'proxy', 'namespaces') },
  fc.constantFrom(
    '//',
    '..',
    '.',
    '%2e',
    '%2F',
    '%5c',
    '%25',
    '%',
    '%zz',
    '%00',
    '?',
    '&',
    ';',
    '#',
  ),
  fc.constantFrom('watch=1', ' ', '%C3%A4', '%c0', '%c0%af'),
  fc.string({ unit: 'binary', maxLength: 2 }),
)
const target = fc.oneof(
  fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join('')}`),
  fc
    .tuple(fc.array(segment, { maxLength: 6 }), fc.constantFrom('', '/', '?limit=5', '?a=%2F'))
    .map(([segments, end]) => `/${segments.join('/')}${end}`),
)
/** As many as are needed to see enough of those that are accepted. */
const acceptedTarget = target.filter((text) => accepted(text) !== undefined)
const canonicalOf = (text: string) => accepted(text) ?? ''
const runs = { numRuns: 3_000 }

test('the canonical form is its own canonical form', () => {
  fc.assert(
    fc.property(acceptedTarget, (text) => {
      expect(accepted(canonicalOf(text))).toBe(canonicalOf(text))
    }),
    runs,
  )
})

test('the canonical form means to kube-apiserver what the client wrote', () => {
  const path = (of: string) => decodeURIComponent(of.split('?')[0] ?? '').replace(/\/$/, '')
  const query = (of: string) => of.split('?').slice(1).join('?')
  fc.assert(
    fc.property(acceptedTarget, (text) => {
      expect(path(canonicalOf(text))).toBe(path(text))
      expect(query(canonicalOf(text))).toBe(query(text))
    }),
    runs,
  )
})

test('two ways of writing one path have one canonical form', () => {
  fc.assert(
    fc.property(acceptedTarget, (text) => {
      const everythingEncoded = [...Buffer.from(decodeURIComponent(text.split('?')[0] ?? ''))]
        .map((byte) => (byte === 0x2f ? '/' : `%${byte.toString(16).padStart(2, '0')}`))
        .join('')
      expect(accepted(everythingEncoded)).toBe(canonicalOf(text).split('?')[0])
    }),
    runs,
  )
})

test('no accepted path can be read in two ways', () => {
  fc.assert(
    fc.property(acceptedTarget, (text) => {
      const [path = ''] = canonicalOf(text).split('?')
      // Decoding again, cleaning, or doing neither: the same.
      const decoded = decodeURIComponent(path)
      const cleaned = new URL(path, 'http://x').pathname
      expect(decodeURIComponent(cleaned)).toBe(decoded)
      expect(decoded).not.toMatch(/\\|%|\/\/|\/\.\.?(\/|$)|[\p{Cc}]/u)
      expect(canonicalOf(text)).toMatch(/^\/[\x21-\x7e]*$/)
    }),
    runs,
  )
})

test('what Node cannot decode is refused, and never throws anything but a rejection', () => {
  const decodes = (text: string) => {
    try {
      decodeURIComponent(text)
      return true
    } catch {
      return false
    }
  }
  fc.assert(
    fc.property(target, (text) => {
      const [path = ''] = text.split('?')
      expect(accepted(text) === undefined || decodes(path)).toBe(true)
    }),
    runs,
  )
})
