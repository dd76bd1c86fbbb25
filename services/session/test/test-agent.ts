import { until } from '@postern/fixtures'
import { isSignedBy } from '@postern/pki'
import {
  AccountOrder,
  type ReportAccountRequest,
  type SignedAccountOrder,
} from '@postern/proto/postern/session/v1/session'
import type { RunningSession } from './running-session.ts'

/** What an agent saw, in order; `synced` stands for itself. */
type Seen = AccountOrder | 'synced'

type Report = Pick<ReportAccountRequest, 'sessionId' | 'version'> & {
  result: NonNullable<ReportAccountRequest['result']>
}

/** An agent that keeps what it is told, and does what the test says. */
export async function startTestAgent(
  session: RunningSession,
  { clusterId, agentId }: { clusterId: string; agentId: string },
) {
  const client = await session.agent(clusterId, agentId)
  const end = new AbortController()
  const seen: Seen[] = []
  const signed: SignedAccountOrder[] = []
  let lost: unknown

  const watching = (async () => {
    try {
      for await (const { message } of client.watchAccounts({}, { signal: end.signal })) {
        if (message?.$case === 'order') {
          signed.push(message.value)
          seen.push(AccountOrder.decode(message.value.order))
        } else {
          seen.push('synced')
        }
      }
      lost = 'ended'
    } catch (error) {
      lost = error
    }
  })()
  const orders = () => seen.filter((one) => one !== 'synced')

  return {
    seen,
    signed,
    /** How the stream ended, if it did. */
    lost: () => lost,
    latest: (sessionId: string) => orders().findLast((order) => order.sessionId === sessionId),
    async untilSynced() {
      await until(async () => {
        if (lost !== undefined) throw new Error('the stream was lost', { cause: lost })
        return seen.includes('synced')
      })
    },
    /** The newest order of the session that fits. */
    async order(sessionId: string, fits: (order: AccountOrder) => boolean): Promise<AccountOrder> {
      let found: AccountOrder | undefined
      await until(async () => {
        found = orders().findLast((order) => order.sessionId === sessionId && fits(order))
        return found !== undefined
      })
      if (found === undefined) throw new Error('no such order')
      return found
    },
    /** The first order that asks for an account of a user. */
    async wantedFor(userId: string): Promise<AccountOrder> {
      let found: AccountOrder | undefined
      await until(async () => {
        found = orders().findLast((order) => order.userId === userId && order.wanted)
        return found !== undefined
      })
      if (found === undefined) throw new Error('no such order')
      return found
    },
    report: async (report: Report) => await client.reportAccount(report),
    async provisioned({ sessionId, version }: AccountOrder) {
      await client.reportAccount({
        sessionId,
        version,
        result: { $case: 'provisioned', value: true },
      })
    },
    async removed({ sessionId, version }: AccountOrder) {
      await client.reportAccount({ sessionId, version, result: { $case: 'removed', value: true } })
    },
    isSigned: (order: SignedAccountOrder) =>
      isSignedBy(
        { data: order.order, signature: order.signature, chain: order.chain },
        {
          spiffeId: `spiffe://${session.authority.trustDomain}/service/session`,
          ca: session.authority.ca,
          at: new Date(),
        },
      ),
    async stop() {
      end.abort()
      await watching
    },
  }
}
