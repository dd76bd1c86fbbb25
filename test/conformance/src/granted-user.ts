import { eventually } from '@postern/bootstrap'
import { type E2eWorld, send } from '@postern/e2e/support'

/** What a user may do, and where: "all" is the whole cluster. */
export type Granted = {
  readonly name: string
  readonly cluster: string
  readonly rules: readonly object[]
  readonly namespaces: readonly string[] | 'all'
}

const LET_IN_MS_MAX = 120_000
const worlds = new WeakMap<E2eWorld, Map<string, Promise<string>>>()

/** The token of a user who has this grant and no other. Resolves once the cluster lets him in. */
export function grantedUser(world: E2eWorld, granted: Granted): Promise<string> {
  const known = worlds.get(world) ?? new Map<string, Promise<string>>()
  worlds.set(world, known)
  const token = known.get(granted.name) ?? make(world, granted)
  known.set(granted.name, token)
  return token
}

async function make(world: E2eWorld, granted: Granted): Promise<string> {
  const { name, cluster, rules, namespaces } = granted
  const { api } = world.admin
  await world.createUser(name)
  await api.call('POST', '/v1/roles', { name, rules })
  const terms = {
    subjects: [`user:${name}`],
    role: name,
    clusters: [cluster],
    namespaces: namespaces === 'all' ? { all: true } : { names: namespaces },
  }
  await api.call('POST', '/v1/grants', { name, terms })
  const { secret } = await world.token(name)
  await untilLetIn(world, cluster, secret)
  return secret
}

async function untilLetIn(world: E2eWorld, cluster: string, token: string): Promise<void> {
  const url = `${world.platform.gatewayUrl}/clusters/${cluster}/api`
  await eventually(`${cluster} to let him in`, LET_IN_MS_MAX, async () => {
    const headers = { authorization: `Bearer ${token}` }
    const { status, text } = await send(url, world.ca, { path: '', headers })
    if (status !== 200) throw new Error(`${status} ${text}`)
  })
}
