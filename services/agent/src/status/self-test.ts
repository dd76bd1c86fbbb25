import { z } from 'zod'
import { ACCOUNT_NAMESPACE } from '../account/account-objects.ts'
import type { KubeClient } from '../adapters/kube-client.ts'

type Right = {
  readonly verb: string
  readonly group: string
  readonly resource: string
  readonly subresource?: string
  readonly namespace?: string
}

const jit = { group: '', namespace: ACCOUNT_NAMESPACE }
const rbac = { group: 'rbac.authorization.k8s.io' }

/** Without each of these sessions fail, or leave something behind. */
const NEEDED: readonly Right[] = [
  ...['create', 'get', 'list', 'delete'].flatMap((verb) => [
    { ...jit, verb, resource: 'serviceaccounts' },
    { ...jit, verb, resource: 'secrets' },
    { ...rbac, verb, resource: 'clusterrolebindings' },
    { ...rbac, verb, resource: 'rolebindings' },
  ]),
  { ...jit, verb: 'create', resource: 'serviceaccounts', subresource: 'token' },
  { group: '', verb: 'list', resource: 'namespaces' },
  { group: '', verb: 'watch', resource: 'namespaces' },
]
/** With any of these whoever takes the agent takes the cluster. */
const FORBIDDEN: readonly Right[] = [
  { group: '', verb: 'impersonate', resource: 'users' },
  { group: '', verb: 'impersonate', resource: 'groups' },
  { ...rbac, verb: 'escalate', resource: 'clusterroles' },
  { ...rbac, verb: 'bind', resource: 'clusterroles' },
]

const answer = z.object({ status: z.object({ allowed: z.boolean() }) })
const version = z.object({ gitVersion: z.string().max(100) })

/** What is wrong with the agent's own rights, for a person to read. Empty when all is well. */
export async function selfTest(kube: KubeClient): Promise<string[]> {
  const isAllowed = async (right: Right) => {
    const review = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: right },
    }
    const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
    return answer.parse(await kube.request('POST', path, review)).status.allowed
  }
  const lacking = NEEDED.map(async (right) =>
    (await isAllowed(right)) ? [] : [`may not ${textOf(right)}: apply the join manifest again`],
  )
  const excessive = FORBIDDEN.map(async (right) =>
    (await isAllowed(right)) ? [`may ${textOf(right)}: take that right from the agent`] : [],
  )
  return (await Promise.all([...lacking, ...excessive])).flat()
}

export async function kubernetesVersion(kube: KubeClient): Promise<string> {
  return version.parse(await kube.request('GET', '/version')).gitVersion
}

function textOf({ verb, resource, subresource, namespace }: Right): string {
  const what = subresource === undefined ? resource : `${resource}/${subresource}`
  return `${verb} ${what}${namespace === undefined ? '' : ` in ${namespace}`}`
}
