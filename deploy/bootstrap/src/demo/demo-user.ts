import { type ApiClient, ApiError } from '../platform/api-client.ts'

/** Does what may have been done at an earlier start. */
async function unlessThere(work: Promise<unknown>): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!(error instanceof ApiError) || !error.reason.endsWith('_EXISTS')) throw error
  }
}

/** Within what the install level "edit" brings into a cluster. */
const DEVELOPER_RULES = [
  { verbs: ['*'], apiGroups: [''], resources: ['pods', 'configmaps', 'services'] },
  { verbs: ['get'], apiGroups: [''], resources: ['pods/log'] },
  {
    verbs: ['get', 'create'],
    apiGroups: [''],
    resources: ['pods/exec', 'pods/attach', 'pods/portforward'],
  },
  {
    verbs: ['*'],
    apiGroups: ['apps'],
    resources: ['deployments', 'replicasets', 'statefulsets', 'daemonsets'],
  },
  { verbs: ['get', 'update', 'patch'], apiGroups: ['apps'], resources: ['deployments/scale'] },
  { verbs: ['*'], apiGroups: ['batch'], resources: ['jobs', 'cronjobs'] },
  { verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['events', 'namespaces'] },
]

/** A user, a group, a role and a grant to try things with. */
export async function prepareDemoUser(
  api: ApiClient,
  names: { user: string; group: string; grant: string; label: Readonly<Record<string, string>> },
): Promise<void> {
  const { user, group, grant, label } = names
  await unlessThere(api.call('POST', '/v1/groups', { name: group }))
  await unlessThere(api.call('POST', '/v1/users', { name: user, displayName: 'Demo user' }))
  await api.call('POST', `/v1/groups/${group}/members`, { user })
  const role = { name: 'developer', description: 'workloads, logs, exec', rules: DEVELOPER_RULES }
  await unlessThere(api.call('POST', '/v1/roles', role))
  const terms = {
    subjects: [`group:${group}`],
    role: 'developer',
    clusterSelector: { matchLabels: label },
    namespaces: { all: true },
  }
  await unlessThere(api.call('POST', '/v1/grants', { name: grant, terms }))
}

/** A kubeconfig of the user, for one cluster. */
export async function kubeconfigFor(
  api: ApiClient,
  user: string,
  cluster: string,
): Promise<string> {
  const { secret } = await api.call('POST', '/v1/tokens', {
    user,
    description: 'kubeconfig download',
  })
  return await api.withToken(String(secret)).text(`/v1/kubeconfig?cluster=${cluster}`)
}
