import { rememberTexts } from '@postern/kube-http'
import { malformed, noSuchCluster, type Refusal, refusals } from './refusal.ts'

/** Which cluster a request is for, and its target without what named the cluster. */
export type Route = { readonly clusterName: string; readonly target: string }

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
const HOST = new RegExp(`^(?:${LABEL}\\.)*${LABEL}$`)
const PREFIX = new RegExp(`^/clusters/(${LABEL})(?=/|\\?|$)`)
const AUTHORITY = /^(\[[0-9a-f:.]+\]|[^:@/\\?#\s]+)(?::\d{1,5})?$/

/** Clients say few hosts, and each with every request. */
const HOSTS = { textsMax: 1000, charactersMax: 256 }
const isHostName = rememberTexts((host) => HOST.test(host), HOSTS)
const hostOf = rememberTexts(
  (authority) => AUTHORITY.exec(authority.toLowerCase())?.[1]?.replace(/\.$/, ''),
  HOSTS,
)

/**
 * One value decides: the host where it names a cluster, else the path prefix. A TLS server name
 * that says otherwise is refused, because certificates and policies may have been chosen by it.
 */
export function routeCluster(
  request: { authority: string; target: string; serverName: string | undefined },
  domain: string,
): Route | { refusal: Refusal } {
  const host = hostOf(request.authority)
  if (host === undefined) return { refusal: malformed('the host is malformed') }
  const byHost = clusterOfHost(host, domain)
  const bySni =
    request.serverName === undefined ? undefined : clusterOfHost(request.serverName, domain)
  const prefix = PREFIX.exec(request.target)
  const clusterName = byHost ?? prefix?.[1]
  if (clusterName === undefined) return { refusal: noSuchCluster(undefined) }
  if (bySni !== undefined && bySni !== clusterName) return { refusal: refusals.wrongConnection }
  if (byHost !== undefined || prefix === null) return { clusterName, target: request.target }
  const rest = request.target.slice(prefix[0].length)
  return { clusterName, target: rest.startsWith('/') ? rest : `/${rest}` }
}

function clusterOfHost(host: string, domain: string): string | undefined {
  // The domain itself names no cluster, also where it ends in .localhost.
  if (!isHostName(host) || host === domain) return undefined
  for (const suffix of [`.${domain}`, '.localhost']) {
    if (!host.endsWith(suffix)) continue
    const label = host.slice(0, -suffix.length)
    if (!label.includes('.')) return label
  }
  return undefined
}
