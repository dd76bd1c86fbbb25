import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ApiClient, eventually, type Kubectl } from '@postern/bootstrap'
import { joinFacts, send, spawnAgent } from '@postern/e2e/support'
import type { Activity } from './activity.ts'
import { type ShippedPlatform, SOAK_CLUSTER } from './shipped-platform.ts'

const SOON_MS_MAX = 60_000
const PODS = '/api/v1/namespaces/soak/pods'

/** Sessions of those users that have not ended. */
export async function openSessions(api: ApiClient): Promise<readonly string[]> {
  const { sessions } = await api.call('GET', '/v1/sessions?pageSize=1000&user=*')
  const found: { id: string; state: string }[] = Array.isArray(sessions) ? sessions : []
  return found.filter(({ state }) => /OPENING|ACTIVE/.test(state)).map(({ id }) => id)
}

function asker(platform: ShippedPlatform) {
  const ca = readFileSync(platform.caFile, 'utf8')
  const url = `${platform.gatewayUrl}/clusters/${SOAK_CLUSTER.name}${PODS}`
  return (token: string) =>
    send(url, ca, { path: '', headers: { authorization: `Bearer ${token}`, connection: 'close' } })
}

/** Somebody signs in, works, is signed out by an administrator, and comes back. */
export function sessions(platform: ShippedPlatform, user: string): Activity {
  const { api } = platform
  const ask = asker(platform)
  return {
    name: 'sessions that end and come back',
    pauseMs: 3_000,
    async turn() {
      const made = await api.call('POST', '/v1/tokens', { user, description: 'soak' })
      const secret = String(made['secret'])
      await eventually('a session', SOON_MS_MAX, async () => {
        const { status, text } = await ask(secret)
        if (status !== 200) throw new Error(`${status} ${text}`)
      })
      const { sessions: listed } = await api.call('GET', `/v1/sessions?user=${user}&pageSize=100`)
      const mine: { id: string; state: string }[] = Array.isArray(listed) ? listed : []
      for (const { id, state } of mine) {
        if (/OPENING|ACTIVE/.test(state)) await api.call('DELETE', `/v1/sessions/${id}`)
      }
      const { token } = made
      if (typeof token !== 'object' || token === null || !('id' in token)) throw new Error('no id')
      await api.call('DELETE', `/v1/tokens/${String(token.id)}`)
      await eventually('the token to be worth nothing', SOON_MS_MAX, async () => {
        const { status } = await ask(secret)
        if (status !== 401) throw new Error(`${status}`)
      })
    },
  }
}

/** A grant is made, used, and revoked. */
export function grants(platform: ShippedPlatform, user: string, token: string): Activity {
  const { api } = platform
  const ask = asker(platform)
  const until = (wanted: number) =>
    eventually(`an answer ${wanted}`, SOON_MS_MAX, async () => {
      const { status, text } = await ask(token)
      if (status !== wanted) throw new Error(`${status} ${text}`)
    })
  return {
    name: 'grants that come and go',
    pauseMs: 3_000,
    async turn(n) {
      const name = `${user}-${n}`
      const terms = {
        subjects: [`user:${user}`],
        role: 'developer',
        clusterSelector: { matchLabels: SOAK_CLUSTER.labels },
        namespaces: { all: true },
      }
      await api.call('POST', '/v1/grants', { name, terms })
      await until(200)
      await api.call('DELETE', `/v1/grants/${name}`)
      await until(403)
    },
  }
}

/** Another cluster joins, its agent is there for a while, and it leaves. */
export function clusters(platform: ShippedPlatform): Activity {
  const { api, kubectl, kubernetes, dir } = platform
  return {
    name: 'clusters that join and leave',
    pauseMs: 45_000,
    async turn(n) {
      const name = `spare-${n}`
      await api.call('POST', '/v1/clusters', { name, installLevel: 'INSTALL_LEVEL_VIEW' })
      await prepareNamespace(kubectl, name)
      const token = await kubectl.ok(['create', 'token', 'postern-agent', '-n', name])
      const agent = spawnAgent({
        dir: join(dir, name),
        namespace: name,
        token: token.trim(),
        ca: readFileSync(kubernetes.ca, 'utf8'),
        kubernetes: new URL(kubernetes.server).host,
        facts: await joinFacts({ admin: { api } }, name),
      })
      try {
        await eventually(`${name} to be there`, SOON_MS_MAX, async () => {
          const { cluster } = await api.call('GET', `/v1/clusters/${name}`)
          if (!JSON.stringify(cluster).includes('CLUSTER_STATE_ONLINE')) {
            throw new Error(agent.output().slice(-500))
          }
        })
        await api.call('DELETE', `/v1/clusters/${name}`)
      } finally {
        await agent.kill('SIGTERM')
        await kubectl.ok(['delete', 'namespace', name, '--wait=false'])
      }
    },
  }
}

/** Where an agent may keep its identity, and do nothing else. */
async function prepareNamespace(kubectl: Kubectl, name: string): Promise<void> {
  const run = (...args: string[]) => kubectl.ok([...args, '-n', name])
  await kubectl.ok(['create', 'namespace', name])
  await run('create', 'serviceaccount', 'postern-agent')
  await run('create', 'role', 'identity', '--verb=create,get,update,list', '--resource=secrets')
  await run(
    'create',
    'rolebinding',
    'identity',
    '--role=identity',
    `--serviceaccount=${name}:postern-agent`,
  )
}
