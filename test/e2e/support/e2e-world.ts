import { readFileSync } from 'node:fs'
import { createWorld, eventually, type Step, type World } from '@postern/bootstrap'
import { query } from './database.ts'
import { type Answer, type HttpOrder, send } from './http.ts'
import { words } from './words.ts'

export const CLUSTER = 'alpha'
export const LABELS = { env: 'e2e' } as const
/** A namespace with a pod in it that stays. */
const NAMESPACE = 'team'

const POLICY = `kind: Role
name: developer
description: workloads, logs and exec
rules:
  - { verbs: ['*'], apiGroups: [''], resources: [pods, configmaps, services] }
  - { verbs: [get], apiGroups: [''], resources: [pods/log] }
  - { verbs: [get, create], apiGroups: [''], resources: [pods/exec, pods/attach, pods/portforward] }
  - { verbs: ['*'], apiGroups: [apps], resources: [deployments, replicasets, statefulsets] }
  - { verbs: [get, list, watch], apiGroups: [''], resources: [events, namespaces] }
---
kind: Grant
name: developers-everywhere
terms:
  subjects: [group:developers]
  role: developer
  clusterSelector: { matchLabels: { env: e2e } }
  namespaces: { all: true }
`

/** A platform with one cluster, a group of developers, and "lead", who is one of them. */
export type E2eWorld = World & {
  readonly ca: string
  createUser(name: string, groups?: readonly string[]): Promise<void>
  token(user: string, lifetime?: string): Promise<{ secret: string; id: string }>
  /** A request to the gateway below the cluster's path. */
  ask(token: string | undefined, order: HttpOrder): Promise<Answer>
  /** A request to the public API. */
  api(token: string | undefined, order: HttpOrder): Promise<Answer>
}

export async function startE2eWorld(step: Step = (_name, work) => work()): Promise<E2eWorld> {
  const world = await createWorld(step)
  try {
    return await step('first users and cluster', () => furnished(world))
  } catch (error) {
    await world.stop()
    throw error
  }
}

async function furnished(world: World): Promise<E2eWorld> {
  const { api } = world.admin
  const ca = readFileSync(world.platform.secrets.webCaFile, 'utf8')
  const withToken = (token: string | undefined, order: HttpOrder): HttpOrder => ({
    ...order,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...order.headers,
    },
  })
  const e2e: E2eWorld = {
    ...world,
    ca,
    async createUser(name, groups = []) {
      await api.call('POST', '/v1/users', { name })
      for (const group of groups)
        await api.call('POST', `/v1/groups/${group}/members`, { user: name })
    },
    async token(user, lifetime = '3600s') {
      const answer = await api.call('POST', '/v1/tokens', { user, lifetime, description: 'a test' })
      const { token } = answer
      if (typeof token !== 'object' || token === null || !('id' in token)) throw new Error('no id')
      return { secret: String(answer['secret']), id: String(token.id) }
    },
    ask: (token, order) =>
      send(
        `${world.platform.gatewayUrl}/clusters/${CLUSTER}${order.path}`,
        ca,
        withToken(token, order),
      ),
    api: (token, order) =>
      send(`${world.platform.apiUrl}${order.path}`, ca, withToken(token, order)),
  }
  await api.call('POST', '/v1/groups', { name: 'developers' })
  await world.postern.ok(['apply', '-f', '-'], POLICY)
  await e2e.createUser('lead', ['developers'])
  const { kubectl } = await world.addCluster(CLUSTER, LABELS)
  await kubectl.ok(['create', 'namespace', NAMESPACE])
  const loop = 'while true; do echo tick; sleep 0.2; done'
  await kubectl.ok([...words('run box -n team --image=c --command -- sh -c'), loop])
  await kubectl.ok(['wait', '-n', NAMESPACE, '--for=condition=Ready', 'pod/box', '--timeout=60s'])
  const { secret } = await e2e.token('lead')
  await eventually('the first request of lead', 60_000, async () => {
    const { status, text } = await e2e.ask(secret, { path: '/api/v1/namespaces/team/pods' })
    if (status !== 200) throw new Error(text)
  })
  await settled(e2e)
  return e2e
}

/** What comes by itself after a start: the gateway's spool registers, the agent tells of namespaces. */
async function settled(world: E2eWorld): Promise<void> {
  await eventually('the platform to settle', 60_000, async () => {
    const [row] = await query<{ producers: number; namespaces: number }>(
      world,
      `select (select count(*)::int from audit.producer) as producers,
        (select count(*)::int from tunnel_broker.namespaces where name = $1) as namespaces`,
      [NAMESPACE],
    )
    if (row?.producers !== 1 || row.namespaces !== 1) throw new Error(JSON.stringify(row))
  })
}
