import { EMPTY_SNAPSHOT, type Snapshot } from '@postern/access'
import { holdLease, type Lease } from '@postern/eventing'
import { EventLogServiceDefinition } from '@postern/proto/postern/eventlog/v1/event_log'
import { type ClustersState, foldClusters, NO_CLUSTERS } from './clusters-fold.ts'
import { identityCodec } from './identity-codec.ts'
import { foldIdentity, hexOf, type IdentityState, NO_IDENTITY } from './identity-fold.ts'
import { createListeners } from './listeners.ts'
import { policyCodec } from './policy-codec.ts'
import { foldPolicy, NO_POLICY, type PolicyState } from './policy-fold.ts'
import type { Positions, Replica, ReplicaNeeds, ReplicatedLog } from './replica.ts'
import { type LogReader, readLog } from './replicated-log.ts'
import { toSnapshot } from './to-snapshot.ts'
import { tunnelBrokerCodec } from './tunnel-broker-codec.ts'

const LOGS: readonly ReplicatedLog[] = ['identity', 'policy', 'tunnel-broker']

export function createReplica(needs: ReplicaNeeds): Replica {
  const { clients } = needs
  const log = needs.log.child({ component: 'replica' })
  let identity: IdentityState = NO_IDENTITY
  let policy: PolicyState = NO_POLICY
  let clusters: ClustersState = NO_CLUSTERS
  let snapshot: Snapshot = EMPTY_SNAPSHOT
  let version = 0
  let positions: Positions = { identity: 0n, policy: 0n, 'tunnel-broker': 0n }
  let readers: readonly LogReader[] = []
  let leases: readonly Lease[] = []
  const { leaseClock } = needs
  let wasValid = leaseClock === undefined
  const changed = createListeners<void>(log)
  const leaseChanged = createListeners<boolean>(log)

  const isCaughtUp = () =>
    readers.length === LOGS.length && readers.every((reader) => reader.caughtUp)
  const leaseValid = (atMs?: number): boolean => {
    if (leaseClock === undefined) return true
    const at = atMs ?? leaseClock()
    return isCaughtUp() && leases.length > 0 && leases.every((lease) => lease.valid(at))
  }
  const checkLease = () => {
    const isValid = leaseValid()
    if (isValid === wasValid) return
    wasValid = isValid
    leaseChanged.call(isValid)
  }

  /** After the state of one log was replaced. */
  const show = (service: ReplicatedLog, pos: bigint) => {
    positions = { ...positions, [service]: pos }
    snapshot = toSnapshot(snapshot, identity, policy, clusters)
    version += 1
    changed.call()
    checkLease()
  }
  const common = (service: ReplicatedLog) => ({
    service,
    paths: clients.paths(EventLogServiceDefinition, service),
    log,
  })

  const start = () => {
    if (readers.length > 0) throw new Error('the replica was started already')
    readers = [
      readLog({
        ...common('identity'),
        codec: identityCodec,
        empty: NO_IDENTITY,
        fold: foldIdentity,
        onState(state, pos) {
          identity = state
          show('identity', pos)
        },
      }),
      readLog({
        ...common('policy'),
        codec: policyCodec,
        empty: NO_POLICY,
        fold: foldPolicy,
        onState(state, pos) {
          policy = state
          show('policy', pos)
        },
      }),
      readLog({
        ...common('tunnel-broker'),
        codec: tunnelBrokerCodec,
        empty: NO_CLUSTERS,
        fold: foldClusters,
        onState(state, pos) {
          clusters = state
          show('tunnel-broker', pos)
        },
      }),
    ]
    if (leaseClock === undefined) return
    leases = LOGS.flatMap((service, index) => {
      const follower = readers[index]?.follower
      return follower ? [holdLease({ ...common(service), follower, now: leaseClock })] : []
    })
    for (const lease of leases) {
      lease.onLost(checkLease)
      lease.onRegained(checkLease)
    }
  }

  return {
    start,
    async stop() {
      for (const lease of leases) lease.stop()
      for (const reader of readers) reader.stop()
    },
    snapshot: () => snapshot,
    get version() {
      return version
    },
    positions: () => positions,
    get caughtUp() {
      return isCaughtUp()
    },
    ready: (signal) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted()
        const end = changed.add(() => settle())
        const settle = () => {
          if (!isCaughtUp() && !signal.aborted) return
          end()
          signal.removeEventListener('abort', settle)
          if (signal.aborted) reject(signal.reason)
          else resolve()
        }
        signal.addEventListener('abort', settle)
        settle()
      }),
    tokenBySha256: (sha256) =>
      identity.tokens.get(typeof sha256 === 'string' ? sha256 : hexOf(sha256)),
    userByName(name) {
      const id = identity.userIdByName.get(name)
      return id === undefined ? undefined : identity.users.get(id)
    },
    clusterByName(name) {
      const id = clusters.clusterIdByName.get(name)
      return id === undefined ? undefined : clusters.clusters.get(id)
    },
    hasAgent: (clusterId, agentId) => clusters.clusterIdByAgent.get(agentId) === clusterId,
    onChange: (listener) => changed.add(listener),
    leaseValid,
    async confirmed() {
      const confirmed = await Promise.all(leases.map((lease) => lease.confirmed()))
      return confirmed.length > 0 && confirmed.every(Boolean)
    },
    onLease: (listener) => leaseChanged.add(listener),
  }
}
