import { rejections } from '@postern/errors'
import { isId } from '@postern/ids'
import { isSignedBy } from '@postern/pki'
import type { SignedAccountOrder } from '@postern/proto/postern/session/v1/session'
import { AccountOrder as AccountOrderMessage } from '@postern/proto/postern/session/v1/session'
import type { AccountOrder } from './account.ts'

const rejected = rejections({
  ORDER_NOT_SIGNED: [
    'permission_denied',
    'the account order is not signed by the session service of this installation',
  ],
  ORDER_MALFORMED: ['invalid_argument', 'the account order is malformed'],
  ORDER_FOR_ANOTHER_CLUSTER: ['permission_denied', 'the account order is for another cluster'],
})

const ACCOUNT = /^ptr-[a-z0-9][a-z0-9-]{0,50}$/
/** A ClusterRole's name is any path segment; of those only the plain ones. */
const CLUSTER_ROLE = /^[A-Za-z0-9][A-Za-z0-9:._-]{0,150}$/
const NAMESPACE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const BINDINGS_MAX = 20
const NAMESPACES_MAX = 5_000
const TEXT_CHARACTERS_MAX = 500

/**
 * Accepts what exactly the session service signed for exactly this cluster. Neither gateway, relay nor
 * tunnel-broker can make one.
 *
 * @throws Rejection ORDER_NOT_SIGNED, ORDER_MALFORMED, ORDER_FOR_ANOTHER_CLUSTER
 */
export function openSignedOrder(
  signed: SignedAccountOrder,
  trust: {
    readonly sessionSpiffeId: string
    /** Roots, PEM. */
    readonly ca: string
    readonly clusterId: string
    readonly at: Date
  },
): AccountOrder {
  const { order: data, signature, chain } = signed
  const expected = { spiffeId: trust.sessionSpiffeId, ca: trust.ca, at: trust.at }
  if (!isSignedBy({ data, signature, chain }, expected)) throw rejected('ORDER_NOT_SIGNED')
  const message = decoded(data)
  if (message.clusterId !== trust.clusterId) throw rejected('ORDER_FOR_ANOTHER_CLUSTER')
  const order: AccountOrder = {
    sessionId: message.sessionId,
    version: message.version,
    wanted: message.wanted,
    account: message.account,
    userId: message.userId,
    userName: message.userName,
    bindings: message.bindings.map(({ clusterRole, namespaces }) => ({ clusterRole, namespaces })),
    expiresAtMs: Date.parse(message.expiresAt ?? ''),
  }
  if (!isWellFormed(order)) throw rejected('ORDER_MALFORMED')
  return order
}

function decoded(data: Buffer): AccountOrderMessage {
  try {
    return AccountOrderMessage.decode(data)
  } catch {
    throw rejected('ORDER_MALFORMED')
  }
}

function isWellFormed(order: AccountOrder): boolean {
  return (
    isId(order.sessionId) &&
    order.version >= 1 &&
    ACCOUNT.test(order.account) &&
    order.userId.length <= TEXT_CHARACTERS_MAX &&
    order.userName.length <= TEXT_CHARACTERS_MAX &&
    Number.isFinite(order.expiresAtMs) &&
    order.bindings.length <= BINDINGS_MAX &&
    order.bindings.every(
      ({ clusterRole, namespaces }) =>
        CLUSTER_ROLE.test(clusterRole) &&
        namespaces.length <= NAMESPACES_MAX &&
        namespaces.every((namespace) => NAMESPACE.test(namespace)),
    )
  )
}
