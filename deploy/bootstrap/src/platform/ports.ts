import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'

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

/** Known outside of this machine's processes: in kubeconfigs, to agents, to people. */
const KNOWN_OUTSIDE = new Set<string>(['relay', 'gateway', 'console'])

/** Free ports, found once and kept: kubeconfigs and agents of an earlier run go on working. */
export async function keepPorts(dir: string): Promise<Ports> {
  const ports: Record<string, number> = { ...knownPorts(dir) }
  for (const name of PORTS) {
    ports[name] ??= await findPort((port) => !Object.values(ports).includes(port))
  }
  writeFileSync(fileIn(dir), JSON.stringify(ports, undefined, 2))
  return toPorts(ports)
}

/**
 * The kept ports, to listen on now. One that somebody else took meanwhile is replaced, unless others
 * know it.
 *
 * @throws Error that names a port that is taken
 */
export async function claimPorts(dir: string): Promise<Ports> {
  const kept: Record<string, number> = {}
  for (const [name, port] of Object.entries(knownPorts(dir))) {
    if (await isFree(port)) {
      kept[name] = port
      continue
    }
    if (KNOWN_OUTSIDE.has(name)) {
      throw new Error(
        `port ${port}, where the ${name} listens, is taken by another program: end that, or start anew with --fresh (kubeconfigs and agents know the port)`,
      )
    }
  }
  if (existsSync(fileIn(dir))) writeFileSync(fileIn(dir), JSON.stringify(kept))
  return await keepPorts(dir)
}

function knownPorts(dir: string): Record<string, number> {
  return existsSync(fileIn(dir)) ? JSON.parse(readFileSync(fileIn(dir), 'utf8')) : {}
}

function fileIn(dir: string): string {
  return join(dir, 'ports.json')
}

// Below what systems give to outgoing connections: one of those could sit on the port at a later start.
const PORT_MIN = 20_000
const PORT_MAX = 32_000
const TRIES_MAX = 200

/** A free port of 127.0.0.1 that one may come back to. */
export async function findPort(isWanted: (port: number) => boolean = () => true): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const port = randomInt(PORT_MIN, PORT_MAX)
    if (isWanted(port) && (await isFree(port))) return port
  }
  throw new Error(`no free port of 127.0.0.1 was found from ${PORT_MIN} to ${PORT_MAX}`)
}

/** Whether it can be listened on right now. */
async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

function toPorts(ports: Readonly<Record<string, number>>): Ports {
  const [missing] = PORTS.filter((name) => ports[name] === undefined)
  if (missing !== undefined) throw new Error(`no port for ${missing}`)
  // Every name was just checked.
  return ports as Ports
}
