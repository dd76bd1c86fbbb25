import { setInterval } from 'node:timers/promises'
import { toPart } from '@postern/pki'
import type { Composed, Runtime } from '@postern/service'
import { parkAgent } from '@postern/tunnel'
import { createAccountKeeper } from './account/account-keeper.ts'
import { openSignedOrder } from './account/account-order-codec.ts'
import { createAccountReports } from './account/account-reports.ts'
import { clearAway } from './account/clear-away.ts'
import { createClusterAccounts } from './account/cluster-accounts.ts'
import { createClusterObjects } from './account/cluster-objects.ts'
import { createOrderFollower } from './account/follow-orders.ts'
import { createSweep } from './account/sweep.ts'
import { createControlPlane } from './adapters/control-plane.ts'
import { createIdentitySecret } from './adapters/identity-secret.ts'
import { openKubernetes } from './adapters/open-kubernetes.ts'
import { createSessionClient } from './adapters/session-client.ts'
import { AgentRemovedError, createTunnelBrokerClient } from './adapters/tunnel-broker-client.ts'
import type { AgentConfig } from './config.ts'
import { createCredentialLines } from './forward/cluster-request.ts'
import type { ForwardNeeds } from './forward/forward-needs.ts'
import { forwardStream } from './forward/forward-stream.ts'
import { forwardUpgrade } from './forward/forward-upgrade.ts'
import { createLiveStreams } from './forward/live-streams.ts'
import { createRelayList } from './relay-list.ts'
import { createAgentSignals } from './signals.ts'
import { createNamespaces } from './status/namespaces.ts'
import { createStatusReporter } from './status/status-reporter.ts'
import { createUpstreamPool } from './upstream/upstream-pool.ts'
import { createWatchSessions } from './upstream/watch-sessions.ts'

const SWEEP_MS = 60_000
const UPSTREAM_CONNECTIONS_MAX = 4_096
/** Of 100 watches each. */
const WATCH_SESSIONS_MAX = 1_024

export async function composeAgent(
  runtime: Runtime<AgentConfig, unknown, never>,
): Promise<Composed> {
  const { config, trustDomain, identity, metrics, now } = runtime
  const { clusterId, id: agentId } = toPart(trustDomain, identity.spiffeId) ?? {}
  if (clusterId === undefined || agentId === undefined)
    throw new Error(`${identity.spiffeId} is not that of an agent`)
  const log = runtime.log.child({ cluster: config.cluster })
  const stopping = new AbortController()
  const { signal } = stopping
  /** Aborted when this agent is told that it is none any more. */
  const following = new AbortController()
  const isFatal = (error: unknown) => error instanceof AgentRemovedError

  const signals = createAgentSignals(metrics)
  const kubernetes = await openKubernetes(config)
  const { client: kube, host, server, dial } = kubernetes
  const secret = createIdentitySecret({ kube, namespace: kubernetes.namespace, log })
  const relays = createRelayList({ configured: config.relays, secret, log })
  const controlPlane = createControlPlane({
    relays: () => relays.all,
    identity,
    trustDomain,
    isFatal,
    log,
  })
  const tunnelBroker = createTunnelBrokerClient(controlPlane)
  const session = createSessionClient(controlPlane)

  const live = createLiveStreams()
  const objects = createClusterObjects({ kube })
  const cluster = createClusterAccounts({ kube, objects, agentId, now })
  const reports = createAccountReports({
    send: (report) => session.reportAccount(report),
    log,
    signal,
  })
  const keeper = createAccountKeeper({
    cluster,
    report: (report) => reports.report(report),
    onEnded: (sessionId) => live.cutSoon(sessionId),
    log,
    now,
  })
  const sweep = createSweep({ objects, keeper, isSynced: () => orders.isSynced, now, log, signal })
  const sweepNow = () => {
    sweep().catch((error: unknown) => {
      if (!signal.aborted) log.warn({ err: error }, 'sweep failed')
    })
  }
  const sessionSpiffeId = `spiffe://${trustDomain}/service/session`
  const orders = createOrderFollower({
    open: (signed: Parameters<typeof openSignedOrder>[0]) =>
      openSignedOrder(signed, { sessionSpiffeId, ca: config.roots, clusterId, at: now() }),
    keeper,
    onSynced: sweepNow,
    onRefused: (reason) => signals.ordersRefused.inc({ reason }),
    log,
  })

  const namespaces = createNamespaces({ kube, onChange: () => status.changed(), log })
  const status = createStatusReporter({
    kube,
    namespaces,
    report: (current) => tunnelBroker.reportStatus(current),
    isFatal,
    version: config.version,
    log,
  })

  const upstream = createUpstreamPool({
    server,
    connectionsMax: UPSTREAM_CONNECTIONS_MAX,
  })
  const watches = createWatchSessions({
    server,
    sessionsMax: WATCH_SESSIONS_MAX,
    otherwise: upstream,
  })
  signals.observe({
    accounts: () => keeper.sessionIds.length,
    streams: () => live.count,
    connections: () => upstream.connections + watches.connections,
  })
  const forward: ForwardNeeds = {
    keeper,
    upstream,
    watches,
    dial,
    credentials: createCredentialLines(host),
    live,
    signals,
    log,
  }
  const failed = (error: unknown) => log.error({ err: error }, 'request failed')
  let parked: ReturnType<typeof parkAgent> | undefined

  async function sweepEveryMinute(): Promise<void> {
    try {
      for await (const _ of setInterval(SWEEP_MS, undefined, { signal, ref: false })) sweepNow()
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  /** Ends the process, once nothing of this agent is left in the cluster: only joining again helps. */
  let leaving: Promise<void> | undefined
  const leave = async (error: unknown): Promise<void> => {
    log.error({ err: error }, 'this agent was removed: it removes its accounts and ends')
    following.abort()
    for (const sessionId of keeper.sessionIds) live.cut(sessionId)
    const [, isClear] = await Promise.all([
      parked?.close(0),
      clearAway({ objects, keeper, agentId, log, signal }),
    ])
    if (signal.aborted) return
    if (isClear) log.info({}, 'nothing that this agent made is left in the cluster')
    throw error
  }
  const untilRemoved = async (work: Promise<void>): Promise<void> => {
    try {
      await work
    } catch (error) {
      if (!isFatal(error)) throw error
      if (leaving !== undefined) return
      leaving = leave(error)
      await leaving
    }
  }

  return {
    rpc: [],
    start() {
      parked = parkAgent({
        relays: () => relays.all,
        identity,
        trustDomain,
        log,
        onMux(mux) {
          mux.onStream((stream, head) => {
            forwardStream(stream, head, forward)
          })
        },
        onUpgrade(socket) {
          forwardUpgrade(socket, forward).catch(failed)
        },
      })
      // What ends one of these before the signal ends the process: only a new start helps.
      const whileFollowing = AbortSignal.any([signal, following.signal])
      const learn = (addresses: readonly string[]) => relays.learn(addresses)
      void untilRemoved(session.watchAccounts(orders, whileFollowing))
      void untilRemoved(tunnelBroker.watchConfiguration(learn, whileFollowing))
      void untilRemoved(status.run(whileFollowing))
      void namespaces.follow(signal)
      void sweepEveryMinute()
      return Promise.resolve()
    },
    ready: () => {
      if (parked === undefined || parked.parkedOn.length === 0) {
        return Promise.resolve('parked on no relay')
      }
      return Promise.resolve(orders.isSynced ? undefined : 'the session service is not heard')
    },
    async stop() {
      // Requests under way end by themselves, while their accounts are still kept.
      await parked?.close(config.drainSeconds * 1000)
      stopping.abort()
      keeper.close()
      controlPlane.close()
      watches.close()
      upstream.close()
      kubernetes.close()
    },
  }
}
