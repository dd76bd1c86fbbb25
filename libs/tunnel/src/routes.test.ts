import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseAddress } from './address.ts'
import { backoffMs } from './backoff.ts'
import { encodePreface, parsePreface } from './preface.ts'
import { pairServerName, relayServerName, toRoute } from './server-name.ts'

const number = 'f'.repeat(32)
const domain = 'postern.internal'

describe('a server name', () => {
  test.each([
    { name: relayServerName(domain), route: { to: 'relay' } },
    { name: `tunnel-broker.${domain}`, route: { to: 'service', service: 'tunnel-broker' } },
    { name: `session.${domain}`, route: { to: 'service', service: 'session' } },
    { name: `join.${domain}`, route: { to: 'service', service: 'join' } },
    { name: pairServerName(number, domain), route: { to: 'pair', number } },
  ])('$name has a route', ({ name, route }) => {
    expect(toRoute(name, domain)).toEqual(route)
  })

  test.each([
    undefined,
    '',
    domain,
    `.${domain}`,
    `identity.${domain}`,
    `policy.${domain}`,
    `relay.${domain}.evil.example`,
    `relay.evil${domain}`,
    'relay.evil.example',
    `${number}.${domain}`,
    `${number}0.pair.${domain}`,
    `${number.slice(1)}g.pair.${domain}`,
    `x.${number}.pair.${domain}`,
  ])('%s has none', (name) => {
    expect(toRoute(name, domain)).toBeUndefined()
  })
})

describe('a preface', () => {
  test('is read however it is cut, and what follows it is not', () => {
    const bytes = Buffer.concat([encodePreface(number), Buffer.from('rest')])
    for (let cut = 0; cut < bytes.length - 4; cut += 1) {
      expect(parsePreface(bytes.subarray(0, cut)).status).toBe('more')
    }
    expect(parsePreface(bytes)).toEqual({ status: 'preface', number, length: bytes.length - 4 })
  })

  test('with one byte changed is refused', () => {
    fc.assert(
      fc.property(fc.nat({ max: 47 }), fc.nat({ max: 255 }), (at, to) => {
        const bytes = encodePreface(number)
        fc.pre(
          bytes[at] !== to && !(at >= 15 && at < 47 && /[0-9a-f]/.test(String.fromCharCode(to))),
        )
        bytes[at] = to
        expect(parsePreface(bytes).status).toBe('bad')
      }),
      { numRuns: 1000 },
    )
  })
})

test('retries wait longer and longer, never more than 10 s, never not at all', () => {
  fc.assert(
    fc.property(fc.nat(), fc.double({ min: 0, max: 1, noNaN: true }), (failures, random) => {
      const ms = backoffMs(failures, random)
      expect(ms).toBeGreaterThanOrEqual(50)
      expect(ms).toBeLessThanOrEqual(10_000)
    }),
  )
  expect(backoffMs(3, 0.5)).toBeGreaterThan(backoffMs(1, 0.5))
})

test('an address is host:port', () => {
  expect(parseAddress('relay.example:443')).toEqual({ host: 'relay.example', port: 443 })
  expect(parseAddress('[::1]:443')).toEqual({ host: '::1', port: 443 })
  for (const bad of [
    '',
    'relay',
    ':443',
    'relay:0',
    'relay:70000',
    '::1:443',
    'a b:1',
    'https://x:1',
  ]) {
    expect(() => parseAddress(bad)).toThrow(/host:port/)
  }
})
