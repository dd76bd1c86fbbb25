import { z } from 'zod'
import { type KubeClient, KubeError } from '../adapters/kube-client.ts'
import {
  ACCOUNT_NAMESPACE,
  AGENT_ANNOTATION,
  EXPIRY_ANNOTATION,
  OBJECT_KINDS,
  type ObjectKey,
  type ObjectKind,
  OURS_SELECTOR,
  SESSION_LABEL,
  selectorOf,
} from './account-objects.ts'

/** An object of ours in the cluster. */
export type FoundObject = {
  readonly key: ObjectKey
  readonly sessionId: string
  readonly uid: string
  /** Which agent made it; empty where that is not said. */
  readonly agentId: string
  /** When its session ends at the latest; NaN where that is not said. */
  readonly expiresAtMs: number
}

/** What agents made in the cluster, whatever for. Every call ends within the client's deadline. */
export type ClusterObjects = {
  /** Every object that agents made, of all sessions. */
  list(): Promise<FoundObject[]>
  listOf(sessionId: string): Promise<FoundObject[]>
  /** What has gone or was replaced meanwhile is left alone. All are tried. @throws Error when one is left */
  remove(objects: readonly FoundObject[]): Promise<void>
}

const page = z.object({
  metadata: z.object({ continue: z.string().default('') }),
  items: z.array(
    z.object({
      metadata: z.object({
        name: z.string(),
        namespace: z.string().default(''),
        uid: z.string().min(1),
        labels: z.record(z.string(), z.string()).default({}),
        annotations: z.record(z.string(), z.string()).default({}),
      }),
    }),
  ),
})

const PAGE = 500
const PAGES_MAX = 200
const AT_ONCE = 24

const PATHS: Readonly<Record<ObjectKind, string>> = {
  ServiceAccount: `/api/v1/namespaces/${ACCOUNT_NAMESPACE}/serviceaccounts`,
  Secret: `/api/v1/namespaces/${ACCOUNT_NAMESPACE}/secrets`,
  ClusterRoleBinding: '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
  RoleBinding: '/apis/rbac.authorization.k8s.io/v1/rolebindings',
}

export function createClusterObjects({ kube }: { readonly kube: KubeClient }): ClusterObjects {
  async function listAll(selector: string): Promise<FoundObject[]> {
    const lists = await Promise.all(OBJECT_KINDS.map((kind) => listKind(kind, selector)))
    return lists.flat()
  }

  async function listKind(kind: ObjectKind, selector: string): Promise<FoundObject[]> {
    const found: FoundObject[] = []
    let next = ''
    for (let pages = 0; pages < PAGES_MAX; pages += 1) {
      const query = new URLSearchParams({ labelSelector: selector, limit: String(PAGE) })
      if (next !== '') query.set('continue', next)
      const answer = page.parse(await kube.request('GET', `${PATHS[kind]}?${query.toString()}`))
      for (const { metadata: meta } of answer.items) {
        const { namespace, name, uid, labels, annotations } = meta
        found.push({
          key: { kind, namespace, name },
          sessionId: labels[SESSION_LABEL] ?? '',
          uid,
          agentId: annotations[AGENT_ANNOTATION] ?? '',
          expiresAtMs: Date.parse(annotations[EXPIRY_ANNOTATION] ?? ''),
        })
      }
      next = answer.metadata.continue
      if (next === '') return found
    }
    throw new Error(`the cluster has too many ${kind} objects of sessions`)
  }

  return {
    list: () => listAll(OURS_SELECTOR),
    listOf: (sessionId) => listAll(selectorOf(sessionId)),
    async remove(objects) {
      // Secrets first: with them every token of the account ends.
      const [secrets, others] = [
        objects.filter(isSecret),
        objects.filter((found) => !isSecret(found)),
      ]
      await eachOf([...secrets, ...others], async ({ key, uid }) => {
        try {
          await kube.request('DELETE', pathOf(key), {
            apiVersion: 'v1',
            kind: 'DeleteOptions',
            preconditions: { uid },
          })
        } catch (error) {
          // Gone, or another object by that name: not the one that was found.
          if (!(error instanceof KubeError) || (error.status !== 404 && error.status !== 409)) {
            throw error
          }
        }
      })
    },
  }
}

const isSecret = ({ key }: FoundObject): boolean => key.kind === 'Secret'

export function collectionOf({ kind, namespace }: ObjectKey): string {
  return kind === 'RoleBinding'
    ? `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`
    : PATHS[kind]
}

export function pathOf(key: ObjectKey): string {
  return `${collectionOf(key)}/${encodeURIComponent(key.name)}`
}

/** All at once, so many at a time. All are tried; the first failure is thrown afterwards. */
export async function eachOf<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = items.values()
  let failure: { error: unknown } | undefined
  const worker = async () => {
    for (const item of left) {
      try {
        await work(item)
      } catch (error) {
        failure ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker))
  if (failure !== undefined) throw failure.error
}
