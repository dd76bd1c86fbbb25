import type { MuxSession } from '@postern/mux'
import type { Log } from '@postern/telemetry'
import { TunnelError } from '@postern/tunnel'
import { type GatewaySession, SessionRefusedError } from '../session/session-directory.ts'
import type { GatewaySignals } from '../signals.ts'
import type { ClusterTunnels } from '../tunnels/cluster-tunnels.ts'
import type { Admitted } from './admit.ts'
import { clusterUnreachable, denied, type Refusal, refusals } from './refusal.ts'

/** What a request needs to get to its cluster. */
export type Way = { readonly session: GatewaySession; readonly tunnel: MuxSession }

export type SessionsAtHand = {
  /** One that is open and whose account is ready. */
  ready(userId: string, clusterId: string, at: Date): GatewaySession | undefined
  /** The same; asks for one where there is none. @throws SessionRefusedError */
  sessionOf(userId: string, clusterId: string): Promise<GatewaySession>
}

export type WayNeeds = {
  readonly sessions: SessionsAtHand
  readonly tunnels: ClusterTunnels
  readonly signals: GatewaySignals
  readonly log: Log
}

/** The session and the tunnel, where neither has to be made. */
export function wayAtHand(
  { caller, cluster }: Admitted,
  needs: WayNeeds,
  at: Date,
): Way | undefined {
  const session = needs.sessions.ready(caller.userId, cluster.id, at)
  const tunnel = needs.tunnels.open(cluster.id)
  return session === undefined || tunnel === undefined ? undefined : { session, tunnel }
}

/** The session and the tunnel, or why there is none: nothing has been sent yet. */
export async function openWay(
  admitted: Admitted,
  needs: WayNeeds,
): Promise<Way | { refusal: Refusal }> {
  const session = openSession(admitted, needs)
  // A session waits for an account that nobody makes while the agent is away: the tunnel, at hand or
  // dialled, tells that much sooner.
  const tunnel = await openTunnel(admitted, needs)
  if ('refusal' in tunnel) return tunnel
  const opened = await session
  return 'refusal' in opened ? opened : { ...opened, ...tunnel }
}

async function openSession(
  { caller, cluster }: Admitted,
  needs: WayNeeds,
): Promise<{ session: GatewaySession } | { refusal: Refusal }> {
  const stop = needs.signals.sessionSeconds.startTimer()
  try {
    const session = await needs.sessions.sessionOf(caller.userId, cluster.id)
    stop({ outcome: 'open' })
    return { session }
  } catch (error) {
    stop({ outcome: 'failed' })
    if (error instanceof SessionRefusedError && error.denied) {
      return { refusal: denied(error.message) }
    }
    needs.log.warn({ err: error, clusterId: cluster.id }, 'no session could be opened')
    const { sessionUnavailable } = refusals
    if (!(error instanceof SessionRefusedError)) return { refusal: sessionUnavailable }
    const message = `${sessionUnavailable.message} It said: ${error.message}.`
    return { refusal: { ...sessionUnavailable, message } }
  }
}

async function openTunnel(
  { cluster }: Admitted,
  needs: WayNeeds,
): Promise<{ tunnel: MuxSession } | { refusal: Refusal }> {
  try {
    return { tunnel: await needs.tunnels.session(cluster.id) }
  } catch (error) {
    if (!(error instanceof TunnelError)) throw error
    needs.log.debug({ err: error, clusterId: cluster.id }, 'cluster cannot be reached')
    return { refusal: clusterUnreachable(cluster.name, error.message) }
  }
}
