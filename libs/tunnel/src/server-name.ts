/** Where the server name in a ClientHello sends a connection that arrives at the relay's port. */
export type Route =
  | { readonly to: 'relay' }
  | { readonly to: 'service'; readonly service: SplicedService }
  | { readonly to: 'pair'; readonly number: string }

/** What agents reach through a relay, end to end with the control plane. */
const SPLICED_SERVICES = ['tunnel-broker', 'session', 'join'] as const
export type SplicedService = (typeof SPLICED_SERVICES)[number]

const PAIR_NUMBER = /^[0-9a-f]{32}$/

export const isPairNumber = (text: string): boolean => PAIR_NUMBER.test(text)
export const relayServerName = (trustDomain: string): string => `relay.${trustDomain}`
export const pairServerName = (number: string, trustDomain: string): string =>
  `${number}.pair.${trustDomain}`

/** Undefined: nowhere. */
export function toRoute(serverName: string | undefined, trustDomain: string): Route | undefined {
  const suffix = `.${trustDomain}`
  if (serverName === undefined || !serverName.endsWith(suffix)) return undefined
  const label = serverName.slice(0, -suffix.length)
  if (label === 'relay') return { to: 'relay' }
  const service = SPLICED_SERVICES.find((name) => name === label)
  if (service !== undefined) return { to: 'service', service }
  const number = label.endsWith('.pair') ? label.slice(0, -'.pair'.length) : ''
  return isPairNumber(number) ? { to: 'pair', number } : undefined
}
