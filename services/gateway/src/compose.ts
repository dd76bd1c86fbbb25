import { setTimeout as wait } from 'node:timers/promises'
import { createDecider, nextChangeAt } from '@postern/access'
import { createLeaseClock } from '@postern/eventing'
import { parseHostPort } from '@postern/lifecycle'
import { createReplica } from '@postern/replica'
import type { Composed, Runtime } from '@postern/service'
import { createGatewayDialer } from '@postern/tunnel'
import { createIngestClient } from './adapters/ingest-client.ts'
import { followRelays } from './adapters/relay-directory-client.ts'
import { createSessionClient } from './adapters/session-client.ts'
import { followSessions } from './adapters/session-log-client.ts'
import { createRecorder } from './audit/recorder.ts'
import { startShipping } from './audit/ship.ts'
import { openSpool } from './audit/spool.ts'
import type { GatewayConfig } from './config.ts'
import { drainFront } from './front/drain-front.ts'
import { readServingCertificate, watchServingCertificate } from './front/serving-certificate.ts'
import { createTlsFront } from './front/tls-front.ts'
import { createRequestLimiter } from './limits/request-limits.ts'
import { createTokenBucket } from './limits/token-bucket.ts'
import { createRequestHandler } from './request/handle-request.ts'
import { createSecondLook } from './request/second-look.ts'
import { createSessionActivity } from './session/session-activity.ts'
import { createSessionDirectory } from './session/session-directory.ts'
import { gatewaySignals } from './signals.ts'
import { createLiveRequests } from './streams/live-requests.ts'
import { reviewRight } from './streams/review-right.ts'
import { createClusterTunnels } from './tunnels/cluster-tunnels.ts'

const REPORT_MS = 15_000
const SHIP_DEADLINE_MS = 3_000
/** A watch may go on so long without the certainty that its right still holds; an exec not at all. */
const SHORT_GRACE_MS = 10_000
/** Of refusals that anybody can cause, so many a second are recorded. */
const ANONYMOUS_RECORDS = { perSecond: 20, burst: 200 }
const ELSEWHERE =
  'Postern ended this watch between two events: the way to the cluster that carried it is being closed.'

export async function composeGateway(
  runtime: Runtime<GatewayConfig, unknown, never>,
): Promise<Composed> {
  const { config, trustDomain, identity, clients, log, metrics, now } = runtime
  const gateway = identity.spiffeId.split('/').at(-1) ?? ''
  const signals = gatewaySignals(metrics)

  const certificatePaths = { cert: config.tlsCertFile, key: config.tlsKeyFile }
  const certificate = await readServingCertificate(certificatePaths)
  const spool = await openSpool({ dir: config.spoolDir, bytesMax: config.spoolBytesMax })
  if (spool.recovered.damaged.length > 0) {
    log.error({ segments: spool.recovered.damaged }, 'the disk has lost audit records')
  }
  const recorder = createRecorder({
    spool,
    now,
    anonymousBudget: createTokenBucket(ANONYMOUS_RECORDS),
    onLost: () => signals.recordsLost.inc(),
    log,
  })

  const decider = createDecider()
  const leaseClock = createLeaseClock()
  const replica = createReplica({ clients, log, leaseClock })
  const sessionService = createSessionClient(clients)
  const sessions = createSessionDirectory({
    open: (userId, clusterId) => sessionService.open(userId, clusterId),
    now,
    onEnded: (sessionId, reason) => {
      live.sessionEnded(
        sessionId,
        `Postern ended this stream: your session on the cluster has ended because ${reason}`,
      )
    },
  })
  const activity = createSessionActivity({
    report: (activities) => sessionService.report(activities),
    now,
    log,
  })

  const rights = {
    snapshot: () => replica.snapshot(),
    tokenBySha256: (sha256: string) => replica.tokenBySha256(sha256),
    isSessionOver: (sessionId: string, at: Date) => sessions.isOver(sessionId, at),
    decider,
    nextChangeAt,
  }
  const live = createLiveRequests({
    review: (right, at) => reviewRight(right, rights, at),
    now,
    shortGraceMs: SHORT_GRACE_MS,
    random: Math.random,
  })

  let sessionLog: ReturnType<typeof followSessions> | undefined
  let relays: ReturnType<typeof followRelays> | undefined
  let shipping: ReturnType<typeof startShipping> | undefined
  const leaseValid = () => {
    const atMs = leaseClock()
    return replica.leaseValid(atMs) && sessionLog?.leaseValid(atMs) === true
  }
  const onLease = () => live.leaseChanged(leaseValid())

  const dialer = createGatewayDialer({
    relays: () => config.relayAddresses ?? relays?.addresses() ?? [],
    identity,
    trustDomain,
    isAgent: (clusterId, agentId) => replica.hasAgent(clusterId, agentId),
    log,
  })
  const tunnels = createClusterTunnels({
    dialer,
    onLeaving: (session) => live.concludeVia(session, ELSEWHERE),
  })
  const limiter = createRequestLimiter({
    running: config.requestsMax,
    shortPerUser: config.requestsPerUserMax,
    streamsPerUser: config.streamsPerUserMax,
    perSecondPerUser: config.requestsPerSecondPerUser,
    burstPerUser: config.requestsBurstPerUser,
  })

  const handle = createRequestHandler({
    gateway,
    view: {
      domain: config.domain,
      leaseValid,
      snapshot: () => replica.snapshot(),
      tokenBySha256: (sha256) => replica.tokenBySha256(sha256),
      clusterByName: (name) => replica.clusterByName(name),
      decide: (snapshot, requester, info, at) => decider.decide(snapshot, requester, info, at),
    },
    positions: () => replica.positions(),
    secondLook: createSecondLook(() => replica.confirmed()),
    now,
    limiter,
    sessions,
    activity,
    spoolHasRoom: () => spool.hasRoom(),
    recorder,
    tunnels,
    live,
    selfReview: {
      compiled: (userId, clusterId) => decider.compiled(replica.snapshot(), { userId, clusterId }),
      now,
    },
    signals,
    log,
  })
  const front = createTlsFront({
    ...parseHostPort(config.listen),
    certificate,
    connectionsMax: config.connectionsMax,
    handle,
    onMalformed(remoteAddress, problem) {
      signals.malformed.inc()
      recorder.malformed({ remoteAddress, problem, gateway })
    },
  })
  signals.observe({
    streams: () => live.count,
    running: () => limiter.running,
    connections: () => front.connections,
    spool: () => spool.size,
  })

  const stopping: (() => void)[] = []
  return {
    rpc: [],

    async start() {
      replica.start()
      sessionLog = followSessions({
        clients,
        log,
        leaseClock,
        apply: (fact) => sessions.apply(fact),
        reset: () => sessions.reset(),
        onLease,
      })
      if (config.relayAddresses === undefined) relays = followRelays({ clients, log })
      shipping = startShipping({
        spool,
        ingest: createIngestClient(clients),
        log,
        wait: (ms, signal) => wait(ms, undefined, { signal, ref: false }),
        random: Math.random,
      })
      const reporting = setInterval(() => {
        sessions.prune()
        void activity.report()
      }, REPORT_MS)
      stopping.push(
        replica.onChange(() => {
          live.reviewAll()
          tunnels.cutRemovedAgents()
        }),
        replica.onLease(onLease),
        watchServingCertificate(certificatePaths, (next) => front.setCertificate(next), log),
        () => clearInterval(reporting),
      )
      const { port } = await front.listen()
      log.info({ port, domain: config.domain, spool: spool.id }, 'serving')
    },

    async ready() {
      if (spool.broken !== undefined) return `audit records cannot be written: ${spool.broken}`
      if (!replica.caughtUp) return 'reading the logs of identity, policy and tunnel-broker'
      if (sessionLog?.caughtUp !== true) return 'reading the log of session'
      return leaseValid() ? undefined : 'the lease of a log is not held'
    },

    async stop() {
      await drainFront({
        front,
        live,
        noticeMs: config.drainNoticeSeconds * 1000,
        drainMs: config.drainSeconds * 1000,
      })
      for (const stop of stopping) stop()
      live.close()
      await activity.report()
      await tunnels.close()
      await shipping?.stop(SHIP_DEADLINE_MS)
      await spool.close()
      relays?.stop()
      sessionLog?.stop()
      await replica.stop()
    },
  }
}
