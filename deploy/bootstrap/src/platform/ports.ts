import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '@postern/local-servers'

const PORTS = [
  'postgres',
  'nats',
  'identity',
  'policy',
  'session',
  'tunnelBroker',
  'tunnelBrokerJoin',
  'audit',
  'relay',
  'gateway',
  'console',
] as const

export type Ports = Readonly<Record<(typeof PORTS)[number], number>>

/** Free ports, found once and kept: kubeconfigs and agents of an earlier run go on working. */
export async function keepPorts(dir: string): Promise<Ports> {
  const file = join(dir, 'ports.json')
  const known: Partial<Record<string, number>> = existsSync(file)
    ? JSON.parse(readFileSync(file, 'utf8'))
    : {}
  const ports: Record<string, number> = {}
  for (const name of PORTS) ports[name] = known[name] ?? (await freePort())
  writeFileSync(file, JSON.stringify(ports, undefined, 2))
  return toPorts(ports)
}

function toPorts(ports: Readonly<Record<string, number>>): Ports {
  const [missing] = PORTS.filter((name) => ports[name] === undefined)
  if (missing !== undefined) throw new Error(`no port for ${missing}`)
  // Every name was just checked.
  return ports as Ports
}
