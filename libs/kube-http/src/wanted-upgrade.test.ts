import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { HeaderLines } from './header-lines.ts'
import { wantedUpgrade } from './wanted-upgrade.ts'

test('UP-08: what kube-apiserver could take for an upgrade is either one of the two or malformed', () => {
  const token = fc.constantFrom(
    'Upgrade',
    'upgrade',
    'close',
    'x-notupgrade',
    'keep-alive',
    'HTTP2-Settings',
  )
  const headers = fc.record({
    connection: fc.array(
      fc.array(token, { minLength: 1, maxLength: 3 }).map((tokens) => tokens.join(', ')),
      { maxLength: 2 },
    ),
    upgrade: fc.array(
      fc.constantFrom('websocket', 'WebSocket', 'SPDY/3.1', 'h2c', 'foo', 'websocket, h2c'),
      { maxLength: 2 },
    ),
  })
  fc.assert(
    fc.property(headers, fc.constantFrom('GET', 'POST'), ({ connection, upgrade }, method) => {
      const lines: HeaderLines = [
        ...connection.map((value) => ['Connection', value] as const),
        ...upgrade.map((value) => ['Upgrade', value] as const),
      ]
      // httpstream.IsUpgradeRequest: any Connection value that contains "upgrade".
      const kubeSeesUpgrade = connection.some((value) => value.toLowerCase().includes('upgrade'))
      const wanted = wantedUpgrade(method, lines)
      expect(wanted.kind === 'none').toBe(!kubeSeesUpgrade && upgrade.length === 0)
      const known = upgrade.length === 1 && /^(websocket|spdy\/3\.1)$/i.test(upgrade[0] ?? '')
      expect(wanted.kind !== 'upgrade' || known).toBe(true)
    }),
    { seed: Date.now() & 0x7fffffff, numRuns: 2_000 },
  )
})
