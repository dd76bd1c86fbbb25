import type { Cluster } from '@postern/access'
import type { MuxSession } from '@postern/mux'
import type { Log } from '@postern/telemetry'
import { TunnelError } from '@postern/tunnel'
import { type GatewaySession, SessionRefusedError } from '../session/session-directory.ts'
import type { GatewaySignals } from '../signals.ts'
import type { ClusterTunnels } from '../tunnels/cluster-tunnels.ts'
import type { Admitted } from './admit.ts'
import { clusterUnreachable, denied, type Refusal, refusals } from './refusal.ts'

/** The session under which a request runs, or why there is none: nothing has been sent yet. */
export async function openSession(
  { caller, cluster }: Admitted,
  needs: {
    sessionOf: (userId: string, clusterId: string) => Promise<GatewaySession>
    signals: GatewaySignals
    log: Log
  },
): Promise<{ session: GatewaySession } | { refusal: Refusal }> {
  const stop = needs.signals.sessionSeconds.startTimer()
  try {
    const session = await needs.sessionOf(caller.userId, cluster.id)
    stop({ outcome: 'open' })
    return { session }
  } catch (error) {
    stop({ outcome: 'failed' })
    if (error instanceof SessionRefusedError) {
      if (error.denied) return { refusal: denied(error.message) }
      const { sessionUnavailable } = refusals
      const message = `${sessionUnavailable.message} It said: ${error.message}`
      return { refusal: { ...sessionUnavailable, message } }
    }
    needs.log.warn({ err: error, clusterId: cluster.id }, 'no session could be opened')
    return { refusal: refusals.sessionUnavailable }
  }
}

export async function openTunnel(
  cluster: Cluster,
  needs: { tunnels: ClusterTunnels; log: Log },
): Promise<{ session: MuxSession } | { refusal: Refusal }> {
  try {
    return { session: await needs.tunnels.session(cluster.id) }
  } catch (error) {
    if (!(error instanceof TunnelError)) throw error
    needs.log.debug({ err: error, clusterId: cluster.id }, 'cluster cannot be reached')
    return { refusal: clusterUnreachable(cluster.name, error.message) }
  }
}
