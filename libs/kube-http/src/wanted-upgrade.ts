import type { UpgradeProtocol } from './head.ts'
import { type HeaderLines, valuesOf } from './header-lines.ts'

/** `malformed` is answered with 400: neither forwarded as it is nor as a plain request. */
export type WantedUpgrade =
  | { readonly kind: 'none' }
  | { readonly kind: 'upgrade'; readonly protocol: UpgradeProtocol }
  | { readonly kind: 'malformed'; readonly problem: string }

/**
 * What the client wants its connection to become. kube-apiserver upgrades whenever Connection merely
 * contains "upgrade", Node only for the token: whatever is not plainly one of the two is malformed.
 */
export function wantedUpgrade(method: string, headers: HeaderLines): WantedUpgrade {
  const upgrades = valuesOf(headers, 'upgrade')
  const connection = valuesOf(headers, 'connection').join(',').toLowerCase()
  const isWanted = connection.split(',').some((token) => token.trim() === 'upgrade')
  if (upgrades.length === 0 && !connection.includes('upgrade')) return { kind: 'none' }
  if (upgrades.length !== 1 || !isWanted) return malformed('the upgrade is malformed')
  if (valuesOf(headers, 'http2-settings').length > 0) return malformed('h2c is not served')
  const hasLength = valuesOf(headers, 'content-length').some((length) => length !== '0')
  if (hasLength || valuesOf(headers, 'transfer-encoding').length > 0) {
    return malformed('an upgrade has no body')
  }
  const [wanted = ''] = upgrades
  switch (wanted.toLowerCase()) {
    case 'websocket':
      if (method !== 'GET') return malformed('a websocket upgrade is a GET')
      return { kind: 'upgrade', protocol: 'websocket' }
    case 'spdy/3.1':
      return { kind: 'upgrade', protocol: 'SPDY/3.1' }
    default:
      return malformed('the only upgrades are websocket and SPDY/3.1')
  }
}

function malformed(problem: string): WantedUpgrade {
  return { kind: 'malformed', problem }
}
