import { z } from 'zod'
import { type KubeClient, KubeError } from '../adapters/kube-client.ts'
import type { AccountOrder } from './account.ts'
import {
  ACCOUNT_NAMESPACE,
  keyText,
  OBJECT_KINDS,
  type ObjectKey,
  type ObjectKind,
  OURS_SELECTOR,
  objectsFor,
  SESSION_LABEL,
  selectorOf,
  type WantedObject,
} from './account-objects.ts'

/** A credential of one account. Stays in this process's memory. */
export type AccountToken = {
  readonly value: string
  readonly issuedAtMs: number
  readonly expiresAtMs: number
}

/** An object of ours in the cluster. */
export type FoundObject = {
  readonly key: ObjectKey
  readonly sessionId: string
  readonly uid: string
}

/** What the agent makes and removes in its cluster. Every call ends within the client's deadline. */
export type ClusterAccounts = {
  /** Makes what the order asks for, removes what an earlier version left, and gets a token. */
  make(order: AccountOrder): Promise<AccountToken>
  renewToken(order: AccountOrder): Promise<AccountToken>
  /** Removes every object of the session. @throws Error while one is left */
  remove(sessionId: string): Promise<void>
  /** Every object that agents made, of all sessions. */
  list(): Promise<FoundObject[]>
  removeObjects(objects: readonly FoundObject[]): Promise<void>
}

const metadata = z.object({
  name: z.string(),
  namespace: z.string().default(''),
  uid: z.string().min(1),
  labels: z.record(z.string(), z.string()).default({}),
})
const object = z.object({ metadata })
const page = z.object({
  metadata: z.object({ continue: z.string().default('') }),
  items: z.array(object),
})
const tokenAnswer = z.object({
  status: z.object({
    token: z.string().regex(/^[\x21-\x7e]{1,16384}$/),
    expirationTimestamp: z.string(),
  }),
})

/** kube-apiserver's own least. */
const TOKEN_SECONDS_MIN = 600
/** Short, so that a token that leaked is soon worth nothing; long enough to be renewed at leisure. */
const TOKEN_SECONDS_MAX = 3600
const PAGE = 500
const PAGES_MAX = 200
const AT_ONCE = 24

const PATHS: Readonly<Record<ObjectKind, string>> = {
  ServiceAccount: `/api/v1/namespaces/${ACCOUNT_NAMESPACE}/serviceaccounts`,
  Secret: `/api/v1/namespaces/${ACCOUNT_NAMESPACE}/secrets`,
  ClusterRoleBinding: '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
  RoleBinding: '/apis/rbac.authorization.k8s.io/v1/rolebindings',
}

export function createClusterAccounts(needs: {
  readonly kube: KubeClient
  readonly now: () => Date
}): ClusterAccounts {
  const { kube, now } = needs

  /** The object's UID. What another session, or somebody else, made is left alone. */
  async function ensure({ key, manifest }: WantedObject, sessionId: string): Promise<string> {
    try {
      return object.parse(await kube.request('POST', collection(key), manifest)).metadata.uid
    } catch (error) {
      if (!(error instanceof KubeError) || error.status !== 409) throw error
    }
    const found = object.parse(await kube.request('GET', pathOf(key)))
    if (found.metadata.labels[SESSION_LABEL] !== sessionId) {
      throw new Error(`${keyText(key)} exists and is not of this session`)
    }
    return found.metadata.uid
  }

  async function ensureAll(order: AccountOrder): Promise<string> {
    let secretUid: string | undefined
    await eachOf(objectsFor(order), async (wanted) => {
      const uid = await ensure(wanted, order.sessionId).catch((error: unknown) => {
        // A namespace that is gone holds nothing that a binding could give.
        const isGone = error instanceof KubeError && error.status === 404
        if (isGone && wanted.key.kind === 'RoleBinding') return undefined
        throw error
      })
      if (wanted.key.kind === 'Secret') secretUid = uid
    })
    if (secretUid === undefined) throw new Error("the account's secret was not made")
    return secretUid
  }

  async function removeStale(order: AccountOrder): Promise<void> {
    // Nothing comes before the first version.
    if (order.version === 1) return
    const wanted = new Set(objectsFor(order).map(({ key }) => keyText(key)))
    const found = await listAll(selectorOf(order.sessionId))
    await removeObjects(found.filter(({ key }) => !wanted.has(keyText(key))))
  }

  async function tokenFor(order: AccountOrder, secretUid: string): Promise<AccountToken> {
    const issuedAtMs = now().getTime()
    const leftSeconds = Math.ceil((order.expiresAtMs - issuedAtMs) / 1000)
    const answer = await kube.request('POST', `${PATHS.ServiceAccount}/${order.account}/token`, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        expirationSeconds: Math.min(Math.max(leftSeconds, TOKEN_SECONDS_MIN), TOKEN_SECONDS_MAX),
        boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name: order.account, uid: secretUid },
      },
    })
    const { token, expirationTimestamp } = tokenAnswer.parse(answer).status
    // The server may give less or more than was asked for.
    const expiresAtMs = Date.parse(expirationTimestamp)
    if (!(expiresAtMs > issuedAtMs)) throw new Error('kube-apiserver gave a token that has expired')
    return { value: token, issuedAtMs, expiresAtMs }
  }

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
        const sessionId = meta.labels[SESSION_LABEL] ?? ''
        const { namespace, name, uid } = meta
        found.push({ key: { kind, namespace, name }, sessionId, uid })
      }
      next = answer.metadata.continue
      if (next === '') return found
    }
    throw new Error(`the cluster has too many ${kind} objects of sessions`)
  }

  async function removeObjects(objects: readonly FoundObject[]): Promise<void> {
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
  }

  return {
    async make(order) {
      const [secretUid] = await Promise.all([ensureAll(order), removeStale(order)])
      return await tokenFor(order, secretUid)
    },
    async renewToken(order) {
      const key: ObjectKey = {
        kind: 'Secret',
        namespace: ACCOUNT_NAMESPACE,
        name: order.account,
      }
      const { uid } = object.parse(await kube.request('GET', pathOf(key))).metadata
      return await tokenFor(order, uid)
    },
    async remove(sessionId) {
      const selector = selectorOf(sessionId)
      await removeObjects(await listAll(selector))
      const left = await listAll(selector)
      if (left.length > 0) throw new Error(`${left.length} objects of the session are still there`)
    },
    list: () => listAll(OURS_SELECTOR),
    removeObjects,
  }
}

const isSecret = ({ key }: FoundObject): boolean => key.kind === 'Secret'

function collection({ kind, namespace }: ObjectKey): string {
  return kind === 'RoleBinding'
    ? `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`
    : PATHS[kind]
}

function pathOf(key: ObjectKey): string {
  return `${collection(key)}/${encodeURIComponent(key.name)}`
}

/** All at once, so many at a time. All are tried; the first failure is thrown afterwards. */
async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
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
