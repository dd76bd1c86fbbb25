import { createPeople, type ServedLogNeeds, serveLog } from '@postern/fixtures/other-services'
import { identityCodec, policyCodec, tunnelBrokerCodec } from '@postern/replica'

/** What the session service hears of identity, policy and tunnel-broker. */
export async function startOtherLogs(needs: ServedLogNeeds) {
  const people = createPeople()
  const identity = await serveLog(needs, 'identity', identityCodec, [people.tokenService])
  const policy = await serveLog(needs, 'policy', policyCodec)
  const tunnelBroker = await serveLog(needs, 'tunnel-broker', tunnelBrokerCodec)
  return {
    identity,
    policy,
    tunnelBroker,
    signIn: people.signIn,
    async stop() {
      for (const log of [identity, policy, tunnelBroker]) await log.stop()
    },
  }
}
