import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '@postern/bootstrap'
import { certificateOf, installationAuthority, installationRoots } from './certificates.ts'
import { CLUSTER, type E2eWorld } from './e2e-world.ts'
import { type Answer, type HttpOrder, send } from './http.ts'
import { type ServiceProcess, spawnService } from './service-process.ts'

/** One more gateway, in a process of its own, so that a test may do anything to it. */
export type GatewayProcess = ServiceProcess & {
  readonly url: string
  ask(token: string, order: HttpOrder): Promise<Answer>
  /** A kubeconfig of the world's own gateway, for this one. */
  readdressed(kubeconfig: string): string
}

const START_MS_MAX = 60_000

export async function startGatewayProcess(
  world: E2eWorld,
  name: string,
  options: {
    readonly settings?: Readonly<Record<string, string>>
    readonly limits?: string
    /** Another one of the same name left its spool and its certificate there. */
    readonly again?: boolean
  } = {},
): Promise<GatewayProcess> {
  const dir = join(world.dir, name)
  const tlsDir = join(dir, 'tls')
  if (options.again !== true) {
    mkdirSync(tlsDir, { recursive: true })
    const { cert, key } = await certificateOf(installationAuthority(world), `gateway/${name}`)
    writeFileSync(join(tlsDir, 'tls.crt'), cert)
    writeFileSync(join(tlsDir, 'tls.key'), key, { mode: 0o600 })
    writeFileSync(join(tlsDir, 'ca.crt'), installationRoots(world))
  }
  const env = {
    ...world.platform.environmentOf('gateway'),
    POSTERN_GATEWAY_LISTEN: '127.0.0.1:0',
    POSTERN_GATEWAY_TLS_DIR: tlsDir,
    POSTERN_GATEWAY_SPOOL_DIR: join(dir, 'spool'),
    ...options.settings,
  }
  const { limits } = options
  const child = spawnService('gateway', env, limits === undefined ? {} : { limits })
  const url = await eventually(`gateway ${name} to serve`, START_MS_MAX, async () => {
    const port = /"port":(\d+).*"serving"/.exec(child.output())?.[1]
    if (port === undefined) throw new Error(child.output())
    return `https://127.0.0.1:${port}`
  }).catch(async (error: unknown) => {
    await child.kill()
    throw error
  })
  await eventually(`gateway ${name} to hold its leases`, START_MS_MAX, async () => {
    const { status } = await send(`${url}/clusters/${CLUSTER}/api`, world.ca, { path: '' })
    if (status !== 401) throw new Error(`${status}`)
  })
  return {
    ...child,
    url,
    ask: (token, order) =>
      send(`${url}/clusters/${CLUSTER}${order.path}`, world.ca, {
        ...order,
        headers: { authorization: `Bearer ${token}`, ...order.headers },
      }),
    readdressed: (kubeconfig) => kubeconfig.replaceAll(world.platform.gatewayUrl, url),
  }
}
