import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '@postern/bootstrap'
import { send } from '@postern/e2e/support'
import { type ShippedPlatform, SOAK_CLUSTER } from './shipped-platform.ts'

const RULES = [
  { verbs: ['*'], apiGroups: [''], resources: ['pods', 'configmaps'] },
  { verbs: ['get'], apiGroups: [''], resources: ['pods/log'] },
  { verbs: ['get', 'create'], apiGroups: [''], resources: ['pods/exec', 'pods/portforward'] },
]
/** "frank" has no grant of his own accord: he is given one again and again. */
const USERS = ['carol', 'dave', 'erin', 'machine'] as const
const READY_MS_MAX = 60_000

/** Users, what they may do, and a pod that they work with; each of them has been there once. */
export async function furnish(platform: ShippedPlatform): Promise<void> {
  const { api, kubectl } = platform
  await kubectl.ok(['create', 'namespace', 'soak'])
  const loop = ['sh', '-c', 'while true; do echo tick; sleep 1; done']
  await kubectl.ok(['run', 'box', '-n', 'soak', '--image=c', '--command', '--', ...loop])
  await kubectl.ok(['wait', '-n', 'soak', '--for=condition=Ready', 'pod/box', '--timeout=60s'])
  await api.call('POST', '/v1/roles', { name: 'developer', rules: RULES })
  for (const name of [...USERS, 'frank']) await api.call('POST', '/v1/users', { name })
  const terms = {
    subjects: USERS.map((name) => `user:${name}`),
    role: 'developer',
    clusterSelector: { matchLabels: SOAK_CLUSTER.labels },
    namespaces: { all: true },
  }
  await api.call('POST', '/v1/grants', { name: 'developers', terms })
  const ca = readFileSync(platform.caFile, 'utf8')
  const url = `${platform.gatewayUrl}/clusters/${SOAK_CLUSTER.name}/api/v1/namespaces/soak/pods`
  for (const user of USERS) {
    const token = await tokenOf(platform, user)
    const headers = { authorization: `Bearer ${token}`, connection: 'close' }
    await eventually(`${user} to be served`, READY_MS_MAX, async () => {
      const { status, text } = await send(url, ca, { path: '', headers })
      if (status !== 200) throw new Error(`${status} ${text}`)
    })
  }
}

export async function tokenOf({ api }: ShippedPlatform, user: string): Promise<string> {
  const { secret } = await api.call('POST', '/v1/tokens', { user, description: 'soak' })
  return String(secret)
}

export async function kubeconfigOf(platform: ShippedPlatform, user: string): Promise<string> {
  const token = await tokenOf(platform, user)
  const text = await platform.api
    .withToken(token)
    .text(`/v1/kubeconfig?cluster=${SOAK_CLUSTER.name}`)
  const file = join(platform.dir, `${user}.kubeconfig`)
  writeFileSync(file, text, { mode: 0o600 })
  return file
}
