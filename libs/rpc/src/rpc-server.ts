import { setTimeout } from 'node:timers/promises'
import type { ServerOptions } from '@grpc/grpc-js'
import type { TlsIdentity } from '@postern/pki'
import type { Log, Metrics } from '@postern/telemetry'
import { createServer, type Server } from 'nice-grpc'
import { HealthDefinition, HealthServiceImpl, HealthState } from 'nice-grpc-server-health'
import { accessOf } from './access.ts'
import {
  type AuthenticateUser,
  createBuiltInMiddleware,
  createCallMiddleware,
} from './call-middleware.ts'
import { stampPeer } from './peer-stamp.ts'
import { createReflection, reflectionDefinition } from './reflection.ts'
import type { RpcRegistration } from './registration.ts'
import { type ClientCertificates, IdentityServerCredentials } from './server-credentials.ts'

export type RpcServerNeeds = {
  readonly identity: TlsIdentity
  readonly trustDomain: string
  /** "host:port"; port 0 takes a free one. */
  readonly listen: string
  readonly registrations: readonly RpcRegistration[]
  readonly authenticateUser: AuthenticateUser
  /** 'none' serves only RPCs for `anyone`; 'required' everything else. */
  readonly clientCertificates: ClientCertificates
  readonly log: Log
  readonly metrics: Metrics
  readonly now?: () => Date
}

export type RpcServer = {
  /** "host:port" as it really listens. */
  readonly address: string
  readonly port: number
  /** What grpc.health.v1 answers. */
  setHealthy(isHealthy: boolean): void
  /** Ends streams, lets other calls finish for at most the grace, then cuts. */
  close(graceMs?: number): Promise<void>
}

const MESSAGE_BYTES_MAX = 16 * 1024 * 1024
/** Nobody is known there before the message was read. */
const ANYONE_MESSAGE_BYTES_MAX = 64 * 1024
const CONNECTION_AGE_MS_MAX = 30 * 60_000
const CONNECTION_GRACE_MS = 30_000
const CLOSE_GRACE_MS = 5_000

export async function startRpcServer(needs: RpcServerNeeds): Promise<RpcServer> {
  const { identity, trustDomain, clientCertificates, registrations } = needs
  const serviceNames = registrations.map(({ serviceName }) => serviceName)
  const access = accessOf(serviceNames)
  const stopping = new AbortController()
  const health = HealthState()
  health.setStatus('unhealthy')

  const server = createServer(serverOptions(needs))
  const calls = server.with(createCallMiddleware({ ...needs, access, stopping: stopping.signal }))
  for (const registration of registrations) registration.addTo(calls)
  if (clientCertificates === 'required') {
    const builtIns = server.with(
      createBuiltInMiddleware({ trustDomain, stopping: stopping.signal }),
    )
    builtIns.add(HealthDefinition, HealthServiceImpl(health))
    builtIns.add(reflectionDefinition, createReflection(serviceNames))
  }

  const credentials = new IdentityServerCredentials(identity, clientCertificates)
  const port = await listen(server, needs.listen, credentials)
  health.setStatus('healthy')

  return {
    address: `${hostOf(needs.listen)}:${port}`,
    port,
    setHealthy: (isHealthy) => health.setStatus(isHealthy ? 'healthy' : 'unhealthy'),
    async close(graceMs = CLOSE_GRACE_MS) {
      health.setStatus('unhealthy')
      stopping.abort()
      await shutDown(server, graceMs)
      credentials.close()
    },
  }
}

function serverOptions({ clientCertificates, trustDomain, now }: RpcServerNeeds): ServerOptions {
  const isAnyone = clientCertificates === 'none'
  return {
    interceptors: [stampPeer({ trustDomain, now: now ?? (() => new Date()) })],
    'grpc.max_receive_message_length': isAnyone ? ANYONE_MESSAGE_BYTES_MAX : MESSAGE_BYTES_MAX,
    'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
    'grpc.max_concurrent_streams': isAnyone ? 16 : 1000,
    'grpc.max_connection_age_ms': isAnyone ? CONNECTION_GRACE_MS : CONNECTION_AGE_MS_MAX,
    'grpc.max_connection_age_grace_ms': CONNECTION_GRACE_MS,
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
  }
}

async function listen(
  server: Server,
  address: string,
  credentials: IdentityServerCredentials,
): Promise<number> {
  try {
    return await server.listen(address, credentials)
  } catch (cause) {
    credentials.close()
    throw new Error(`listening on ${address} for gRPC`, { cause })
  }
}

async function shutDown(server: Server, graceMs: number): Promise<void> {
  const drained = new AbortController()
  const drain = server.shutdown().finally(() => drained.abort())
  const grace = setTimeout(graceMs, undefined, { signal: drained.signal }).catch(() => undefined)
  await Promise.race([drain, grace])
  server.forceShutdown()
}

function hostOf(listen: string): string {
  return listen.slice(0, listen.lastIndexOf(':'))
}
