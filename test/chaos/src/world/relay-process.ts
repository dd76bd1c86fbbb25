import { mkdirSync } from 'node:fs'
import { eventually } from '@postern/bootstrap'
import { type ServiceProcess, spawnService } from '@postern/e2e/support'
import { type TlsMaterial, writeIdentityFiles } from '@postern/pki'

/** A relay in a process of its own. */
export type RelayProcess = ServiceProcess & {
  /** "host:port" of its one port. */
  readonly address: string
  /** How many agents it could pair with a gateway now. */
  parkedAgents(): Promise<number>
}

const START_MS_MAX = 60_000
const NOWHERE = '127.0.0.1:1'

/** Starts it and resolves when it relays. Where it finds the services is up to the settings. */
export async function startRelayProcess(order: {
  /** Its certificate is kept there. */
  readonly dir: string
  readonly material: TlsMaterial
  readonly trustDomain: string
  readonly listen?: string
  readonly settings?: Readonly<Record<string, string>>
}): Promise<RelayProcess> {
  const { dir, material, trustDomain, listen = '127.0.0.1:0', settings } = order
  mkdirSync(dir, { recursive: true })
  await writeIdentityFiles(dir, material)
  const child = spawnService('relay', {
    POSTERN_TRUST_DOMAIN: trustDomain,
    POSTERN_RELAY_TLS_DIR: dir,
    POSTERN_RELAY_LISTEN: listen,
    POSTERN_RELAY_AGENT_ADDRESS: NOWHERE,
    POSTERN_RELAY_GATEWAY_ADDRESS: NOWHERE,
    POSTERN_RELAY_JOIN_ADDRESS: NOWHERE,
    POSTERN_IDENTITY_ADDRESS: NOWHERE,
    POSTERN_TUNNEL_BROKER_ADDRESS: NOWHERE,
    POSTERN_SESSION_ADDRESS: NOWHERE,
    ...settings,
  })
  const address = await eventually('the relay to listen', START_MS_MAX, async () => {
    const found = /"address":"([^"]+)".*"relaying"/.exec(child.output())?.[1]
    if (found === undefined) throw new Error(child.output())
    return found
  }).catch(async (error: unknown) => {
    await child.kill()
    throw error
  })
  return {
    ...child,
    address,
    async parkedAgents() {
      const http = /"http":"([^"]+)"/.exec(child.output())?.[1]
      const response = await fetch(`http://${http}/metrics`)
      return Number(/^postern_relay_parked_agents\{.*\} (\d+)$/m.exec(await response.text())?.[1])
    },
  }
}
