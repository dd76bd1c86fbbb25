import { join } from 'node:path'
import type { NatsUser } from '@postern/local-servers'
import { environment } from '../config.ts'
import type { Ports } from './ports.ts'
import { LOG_OWNERS, type LogOwner, type SecretFiles, TRUST_DOMAIN } from './secrets.ts'

export const SERVICES = [...LOG_OWNERS, 'relay', 'gateway', 'console'] as const
export type ServiceName = (typeof SERVICES)[number]

const HOST = '127.0.0.1'

/**
 * Who is on the bus: the owners of logs, each to publish the copy of its own and to keep the stream that
 * holds it. No part of Postern reads there.
 */
export function natsUsers(secrets: SecretFiles): NatsUser[] {
  return LOG_OWNERS.map((owner) => ({
    user: owner,
    password: secrets.password(`nats-${owner}`),
    publish: [
      '$JS.API.INFO',
      `postern.evt.${owner}.>`,
      `$JS.API.STREAM.*.${streamOf(owner)}`,
      ...(owner === 'audit' ? AUDIT_SUBJECTS : []),
    ],
  }))
}

/** The stream that SIEMs subscribe to, and the checkpoint of the log behind it. */
const AUDIT_SUBJECTS = ['postern.audit.>', 'postern.audit-checkpoint', '$JS.API.STREAM.*.AUDIT']

/** The stream that holds the copy of a log: "EVT_TUNNEL_BROKER". */
export function streamOf(owner: LogOwner): string {
  return `EVT_${upper(owner)}`
}

/** The settings of each service on this machine: all on loopback, on the kept ports. */
export function serviceEnvironment(options: {
  dir: string
  ports: Ports
  secrets: SecretFiles
  databaseUrl: (owner: LogOwner) => string
  logLevel: string
}): (service: ServiceName) => Record<string, string> {
  const { dir, ports, secrets, databaseUrl, logLevel } = options
  const at = (port: number) => `${HOST}:${port}`
  const grpc = {
    identity: at(ports.identity),
    policy: at(ports.policy),
    session: at(ports.session),
    'tunnel-broker': at(ports.tunnelBroker),
    audit: at(ports.audit),
  }
  const addresses = Object.fromEntries(
    Object.entries(grpc).map(([name, address]) => [`POSTERN_${upper(name)}_ADDRESS`, address]),
  )
  const own: Readonly<Record<ServiceName, Record<string, string>>> = {
    identity: { CA_DIR: secrets.caDir },
    policy: {},
    session: {},
    'tunnel-broker': {
      JOIN_LISTEN: at(ports.tunnelBrokerJoin),
      MANIFEST_FILE: join(environment.root, 'deploy/agent/manifest.yaml'),
    },
    audit: { SIGNING_KEY_FILE: secrets.auditKeyFile },
    relay: {
      LISTEN: at(ports.relay),
      AGENT_ADDRESS: at(ports.relay),
      GATEWAY_ADDRESS: at(ports.relay),
      JOIN_ADDRESS: at(ports.tunnelBrokerJoin),
      DRAIN_SECONDS: '3',
    },
    gateway: {
      LISTEN: at(ports.gateway),
      TLS_CERT_FILE: secrets.webCertFile,
      TLS_KEY_FILE: secrets.webKeyFile,
      DOMAIN: 'postern.localhost',
      SPOOL_DIR: join(dir, 'spool'),
      // No balancer stands before it, and who presses Ctrl-C is waiting.
      DRAIN_NOTICE_SECONDS: '0',
      DRAIN_SECONDS: '3',
    },
    console: {
      PUBLIC_LISTEN: at(ports.console),
      TLS_CERT_FILE: secrets.webCertFile,
      TLS_KEY_FILE: secrets.webKeyFile,
      GATEWAY_URL: `https://${at(ports.gateway)}`,
      GATEWAY_ADDRESSING: 'path',
      GATEWAY_CA_FILE: secrets.webCaFile,
    },
  }
  return (service) => {
    const prefix = `POSTERN_${upper(service)}_`
    const settings: Record<string, string> = {
      ...addresses,
      POSTERN_TRUST_DOMAIN: TRUST_DOMAIN,
      POSTERN_LOG_LEVEL: logLevel,
    }
    for (const [name, value] of Object.entries(own[service])) settings[prefix + name] = value
    if (service !== 'identity') settings[`${prefix}TLS_DIR`] = secrets.tlsDir(service)
    if (isLogOwner(service)) {
      settings[`${prefix}LISTEN`] = grpc[service]
      settings[`${prefix}DATABASE_URL`] = databaseUrl(service)
      const password = secrets.password(`nats-${service}`)
      settings['POSTERN_NATS_URL'] = `nats://${service}:${password}@${at(ports.nats)}`
    }
    return settings
  }
}

function isLogOwner(service: ServiceName): service is LogOwner {
  return LOG_OWNERS.some((owner) => owner === service)
}

function upper(name: string): string {
  return name.replaceAll('-', '_').toUpperCase()
}
