import { signAs, type TlsMaterial } from '@postern/pki'
import { AccountOrder, type SignedAccountOrder } from '@postern/proto/postern/session/v1/session'
import type { AccountOrder as Order } from './account-orders.ts'

/** Encodes an order and signs those very bytes with the session service's own key. */
export function toSignedOrder(order: Order, material: TlsMaterial): SignedAccountOrder {
  const data = AccountOrder.encode(AccountOrder.fromPartial(order)).finish()
  const { signature, chain } = signAs(material, data)
  return { order: Buffer.from(data), signature: Buffer.from(signature), chain: [...chain] }
}
