import { type TlsIdentity, toSpiffeId } from '@postern/pki'
import type { Log } from '@postern/telemetry'
import {
  type Channel,
  type Client,
  type CompatServiceDefinition,
  createChannel,
  createClientFactory,
} from 'nice-grpc'
import { anonymousContext, mutualContext, SpiffeChannelCredentials } from './client-credentials.ts'
import { type CallSettings, createClientMiddleware } from './client-middleware.ts'

/** The services that others call. */
export type ServiceName = 'identity' | 'policy' | 'session' | 'tunnel-broker' | 'audit'

/** Connections are made at first use; the other side's SPIFFE ID is checked. */
export type RpcClients = {
  /** Calls time out after 5 s unless the call says otherwise; idempotent ones are retried. */
  of<Definition extends CompatServiceDefinition>(
    definition: Definition,
    service: ServiceName,
  ): Client<Definition, CallSettings>
  /** That client, and one over a second connection that shares nothing with the first: it works while that one hangs. */
  paths<Definition extends CompatServiceDefinition>(
    definition: Definition,
    service: ServiceName,
  ): readonly [Client<Definition, CallSettings>, Client<Definition, CallSettings>]
  close(): void
}

export type RpcClientsNeeds = {
  readonly identity: TlsIdentity
  readonly trustDomain: string
  /** "host:port" of each service; a relay's for those that are reached through it. */
  readonly addresses: Readonly<Partial<Record<ServiceName, string>>>
  readonly log: Log
}

const MESSAGE_BYTES_MAX = 16 * 1024 * 1024

const CHANNEL_OPTIONS = {
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
  // A service that comes back must be found at once, a dead connection be noticed soon.
  'grpc.initial_reconnect_backoff_ms': 100,
  // In spite of its name the time that one attempt may take: TCP, TLS and HTTP/2 through a relay.
  'grpc.min_reconnect_backoff_ms': 5_000,
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.keepalive_time_ms': 5_000,
  'grpc.keepalive_timeout_ms': 3_000,
  'grpc.use_local_subchannel_pool': 1,
  // Inside an installation; a proxy of the environment is none of our business.
  'grpc.enable_http_proxy': 0,
} as const

/** Never fails because the other side is down. Renewed certificates are used by new connections. */
export function createRpcClients(needs: RpcClientsNeeds): RpcClients {
  const { identity, trustDomain, addresses } = needs
  const channels = {
    first: new Map<ServiceName, Channel>(),
    second: new Map<ServiceName, Channel>(),
  }
  const factory = createClientFactory().use(createClientMiddleware())

  function channelTo(service: ServiceName, path: keyof typeof channels): Channel {
    const existing = channels[path].get(service)
    if (existing !== undefined) return existing
    const address = addresses[service]
    if (address === undefined) throw new Error(`the address of ${service} is not configured`)
    const credentials = new SpiffeChannelCredentials(
      () => mutualContext(identity),
      toSpiffeId(trustDomain, 'service', service),
    )
    const channel = createChannel(address, credentials, {
      ...CHANNEL_OPTIONS,
      'grpc.ssl_target_name_override': `${service}.${trustDomain}`,
    })
    channels[path].set(service, channel)
    return channel
  }

  return {
    of: (definition, service) => factory.create(definition, channelTo(service, 'first')),
    paths: (definition, service) => [
      factory.create(definition, channelTo(service, 'first')),
      factory.create(definition, channelTo(service, 'second')),
    ],
    close() {
      for (const opened of Object.values(channels)) {
        for (const channel of opened.values()) channel.close()
        opened.clear()
      }
    },
  }
}

/** A client without a certificate, for the one thing that is open to anyone: redeeming a join token. */
export function createAnonymousClient<Definition extends CompatServiceDefinition>(needs: {
  readonly definition: Definition
  readonly address: string
  /** Sent as SNI, so that a relay knows where to: "join.<trust domain>". */
  readonly serverName: string
  readonly serverSpiffeId: string
  /** Roots, PEM. */
  readonly ca: string
}): { readonly client: Client<Definition, CallSettings>; readonly close: () => void } {
  const { definition, address, serverName, serverSpiffeId, ca } = needs
  const credentials = new SpiffeChannelCredentials(() => anonymousContext(ca), serverSpiffeId)
  const channel = createChannel(address, credentials, {
    ...CHANNEL_OPTIONS,
    'grpc.ssl_target_name_override': serverName,
  })
  const factory = createClientFactory().use(createClientMiddleware())
  return { client: factory.create(definition, channel), close: () => channel.close() }
}
