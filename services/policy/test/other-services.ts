import { createPeople, type ServedLogNeeds, serveLog } from '@postern/fixtures/other-services'
import { newId } from '@postern/ids'
import { PlatformRole, UserKind } from '@postern/proto/postern/identity/events/v1/events'
import { InstallLevel } from '@postern/proto/postern/tunnelbroker/events/v1/events'
import { identityCodec, tunnelBrokerCodec } from '@postern/replica'
import type { EndUser } from '@postern/rpc'

/** What policy hears of identity and tunnel-broker. */
export async function startOtherServices(needs: ServedLogNeeds) {
  const people = createPeople()
  const identity = await serveLog(needs, 'identity', identityCodec, [people.tokenService])
  const tunnelBroker = await serveLog(needs, 'tunnel-broker', tunnelBrokerCodec)

  return {
    identityAddress: identity.address,
    tunnelBrokerAddress: tunnelBroker.address,

    /** Answers the user's id and how to call in the user's name. */
    async createUser(name: string, platformRole: EndUser['platformRole'] = 'none') {
      const userId = newId('user')
      await identity.append(`user-${userId}`, {
        type: 'UserCreated',
        userId,
        name,
        displayName: '',
        kind: UserKind.USER_KIND_HUMAN,
      })
      return { userId, as: people.signIn({ userId, userName: name, platformRole }) }
    },

    async createGroup(name: string, members: readonly string[]) {
      const groupId = newId('group')
      const platformRole = PlatformRole.PLATFORM_ROLE_UNSPECIFIED
      await identity.append(
        `group-${groupId}`,
        { type: 'GroupCreated', groupId, name, platformRole },
        ...members.map((userId) => ({ type: 'GroupMemberAdded' as const, groupId, userId })),
      )
      return groupId
    },

    async registerCluster(name: string, labels: Record<string, string>) {
      const clusterId = newId('cluster')
      const installLevel = InstallLevel.INSTALL_LEVEL_ADMIN
      await tunnelBroker.append(`cluster-${clusterId}`, {
        type: 'ClusterRegistered',
        clusterId,
        name,
        labels,
        installLevel,
      })
      return clusterId
    },

    async stop() {
      await identity.stop()
      await tunnelBroker.stop()
    },
  }
}
