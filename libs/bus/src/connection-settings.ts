import type { NodeConnectionOptions } from 'nats'

export type BusAddress = {
  /** `nats://user:password@host:port`, several with commas; `tls://` asks for TLS. */
  readonly url: string
  /** Shown by the server beside the connection. */
  readonly name: string
}

const PING_INTERVAL_MS = 3000
const PINGS_OUT_MAX = 2
const CONNECT_TIMEOUT_MS = 3000
const RECONNECT_MS = 250

/** Reconnects for ever, and notices within nine seconds that a server hangs. */
export function connectionSettings({ url, name }: BusAddress): NodeConnectionOptions {
  const servers = url.split(',').map((one) => new URL(one.trim()))
  const [first] = servers
  if (first === undefined) throw new Error('the NATS URL is empty')
  return {
    servers: servers.map(({ hostname, port }) => `${hostname}:${port === '' ? '4222' : port}`),
    name,
    ...(first.username === '' ? {} : credentials(first)),
    ...(first.protocol === 'tls:' ? { tls: {} } : {}),
    timeout: CONNECT_TIMEOUT_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: PINGS_OUT_MAX,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MS,
    reconnectJitter: RECONNECT_MS,
    ignoreAuthErrorAbort: true,
    ignoreClusterUpdates: true,
  }
}

function credentials({ username, password }: URL): { user: string; pass: string } {
  return { user: decodeURIComponent(username), pass: decodeURIComponent(password) }
}
