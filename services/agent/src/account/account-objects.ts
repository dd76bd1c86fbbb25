import type { AccountOrder, Binding } from './account.ts'

/** Where accounts live. Nothing else lives there. */
export const ACCOUNT_NAMESPACE = 'postern-jit'
export const SESSION_LABEL = 'postern.dev/session'
export const EXPIRY_ANNOTATION = 'postern.dev/expires-at'
export const AGENT_ANNOTATION = 'postern.dev/agent'
const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by'
const MANAGED_BY = 'postern-agent'
/** What all objects of agents have, and no others. */
export const OURS_SELECTOR = `${MANAGED_BY_LABEL}=${MANAGED_BY},${SESSION_LABEL}`
export const selectorOf = (sessionId: string): string =>
  `${MANAGED_BY_LABEL}=${MANAGED_BY},${SESSION_LABEL}=${sessionId}`

export const OBJECT_KINDS = [
  'ServiceAccount',
  'Secret',
  'ClusterRoleBinding',
  'RoleBinding',
] as const
export type ObjectKind = (typeof OBJECT_KINDS)[number]

/** Which object it is. */
export type ObjectKey = {
  readonly kind: ObjectKind
  /** Empty for what is in no namespace. */
  readonly namespace: string
  readonly name: string
}

/** An object to make, with its whole manifest. */
export type WantedObject = { readonly key: ObjectKey; readonly manifest: object }

export const keyText = ({ kind, namespace, name }: ObjectKey): string =>
  `${kind}/${namespace}/${name}`

/** Everything that the agent has to make in the cluster for the order, none of it depending on another. */
export function objectsFor(order: AccountOrder, agentId: string): WantedObject[] {
  const metadata = metadataOf(order, agentId)
  const account = inNamespace('ServiceAccount', ACCOUNT_NAMESPACE, order.account)
  const secret = inNamespace('Secret', ACCOUNT_NAMESPACE, order.account)
  return [
    {
      key: account,
      manifest: {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: metadata(account),
        automountServiceAccountToken: false,
      },
    },
    // Empty: tokens are bound to it, so that they end with it.
    {
      key: secret,
      manifest: { apiVersion: 'v1', kind: 'Secret', type: 'Opaque', metadata: metadata(secret) },
    },
    ...order.bindings.flatMap((binding) => bindingObjects(order, binding, metadata)),
  ]
}

/** The texts of the keys of all of them. */
export function keysFor(order: AccountOrder): string[] {
  return objectsFor(order, '').map(({ key }) => keyText(key))
}

function bindingObjects(
  order: AccountOrder,
  { clusterRole, namespaces }: Binding,
  metadata: ReturnType<typeof metadataOf>,
): WantedObject[] {
  // A binding's role cannot be changed: with its role in its name another role is another binding.
  const name = `${order.account}-${clusterRole}`
  const keys =
    namespaces.length === 0
      ? [inNamespace('ClusterRoleBinding', '', name)]
      : namespaces.map((namespace) => inNamespace('RoleBinding', namespace, name))
  return keys.map((key) => ({
    key,
    manifest: {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: key.kind,
      metadata: metadata(key),
      roleRef: {
        apiGroup: 'rbac.authorization.k8s.io',
        kind: 'ClusterRole',
        name: clusterRole,
      },
      subjects: [{ kind: 'ServiceAccount', name: order.account, namespace: ACCOUNT_NAMESPACE }],
    },
  }))
}

function inNamespace(kind: ObjectKind, namespace: string, name: string): ObjectKey {
  return { kind, namespace, name }
}

function metadataOf(order: AccountOrder, agentId: string) {
  return ({ namespace, name }: ObjectKey) => ({
    name,
    ...(namespace === '' ? {} : { namespace }),
    labels: { [MANAGED_BY_LABEL]: MANAGED_BY, [SESSION_LABEL]: order.sessionId },
    annotations: {
      'postern.dev/user': order.userName,
      'postern.dev/user-id': order.userId,
      [EXPIRY_ANNOTATION]: new Date(order.expiresAtMs).toISOString(),
      [AGENT_ANNOTATION]: agentId,
    },
  })
}
