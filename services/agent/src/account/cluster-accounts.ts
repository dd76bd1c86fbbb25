import { z } from 'zod'
import { type KubeClient, KubeError } from '../adapters/kube-client.ts'
import type { AccountOrder } from './account.ts'
import {
  ACCOUNT_NAMESPACE,
  keysFor,
  keyText,
  type ObjectKey,
  objectsFor,
  SESSION_LABEL,
  type WantedObject,
} from './account-objects.ts'
import { type ClusterObjects, collectionOf, eachOf, pathOf } from './cluster-objects.ts'

/** A credential of one account. Stays in this process's memory. */
export type AccountToken = {
  readonly value: string
  readonly issuedAtMs: number
  readonly expiresAtMs: number
}

/** What the agent makes and removes in its cluster. Every call ends within the client's deadline. */
export type ClusterAccounts = {
  /** Makes what the order asks for, removes what an earlier version left, and gets a token. */
  make(order: AccountOrder): Promise<AccountToken>
  renewToken(order: AccountOrder): Promise<AccountToken>
  /** Removes every object of the session. @throws Error while one is left */
  remove(sessionId: string): Promise<void>
}

const object = z.object({
  metadata: z.object({
    uid: z.string().min(1),
    labels: z.record(z.string(), z.string()).default({}),
  }),
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

export function createClusterAccounts(needs: {
  readonly kube: KubeClient
  readonly objects: ClusterObjects
  /** Written on what it makes. */
  readonly agentId: string
  readonly now: () => Date
}): ClusterAccounts {
  const { kube, objects, agentId, now } = needs

  /** The object's UID. What another session, or somebody else, made is left alone. */
  async function ensure({ key, manifest }: WantedObject, sessionId: string): Promise<string> {
    try {
      return object.parse(await kube.request('POST', collectionOf(key), manifest)).metadata.uid
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
    await eachOf(objectsFor(order, agentId), async (wanted) => {
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
    const wanted = new Set(keysFor(order))
    const found = await objects.listOf(order.sessionId)
    await objects.remove(found.filter(({ key }) => !wanted.has(keyText(key))))
  }

  async function tokenFor(order: AccountOrder, secretUid: string): Promise<AccountToken> {
    const issuedAtMs = now().getTime()
    const leftSeconds = Math.ceil((order.expiresAtMs - issuedAtMs) / 1000)
    const accountKey = inAccounts('ServiceAccount', order)
    const answer = await kube.request('POST', `${pathOf(accountKey)}/token`, {
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

  return {
    async make(order) {
      const [secretUid] = await Promise.all([ensureAll(order), removeStale(order)])
      return await tokenFor(order, secretUid)
    },
    async renewToken(order) {
      const key = inAccounts('Secret', order)
      const { uid } = object.parse(await kube.request('GET', pathOf(key))).metadata
      return await tokenFor(order, uid)
    },
    async remove(sessionId) {
      await objects.remove(await objects.listOf(sessionId))
      const left = await objects.listOf(sessionId)
      if (left.length > 0) throw new Error(`${left.length} objects of the session are still there`)
    },
  }
}

function inAccounts(kind: 'ServiceAccount' | 'Secret', { account }: AccountOrder): ObjectKey {
  return { kind, namespace: ACCOUNT_NAMESPACE, name: account }
}
