import type { MuxSession } from '@postern/mux'
import type { ClusterUpgrade, GatewayDialer } from '@postern/tunnel'

/** The ways to the clusters' agents: one shared session each, and connections for upgrades. */
export type ClusterTunnels = {
  /** The session that takes new streams, where there is one. */
  open(clusterId: string): MuxSession | undefined
  /** The same; dials where there is none. @throws TunnelError */
  session(clusterId: string): Promise<MuxSession>
  /** @throws TunnelError */
  upgrade(clusterId: string, signal: AbortSignal): Promise<ClusterUpgrade>
  /** Cuts what goes through agents that were removed, by themselves or with their cluster. */
  cutRemovedAgents(): void
  close(): Promise<void>
}

export function createClusterTunnels(needs: {
  readonly dialer: GatewayDialer
  /** The session takes no new streams, and soon carries nothing any more. */
  readonly onLeaving: (session: MuxSession) => void
}): ClusterTunnels {
  const { dialer, onLeaving } = needs
  const sessions = new Map<string, MuxSession>()
  const dialing = new Map<string, Promise<MuxSession>>()

  async function dial(clusterId: string): Promise<MuxSession> {
    const { session } = await dialer.connectMux(clusterId)
    sessions.set(clusterId, session)
    void session.leaving.then(() => {
      if (sessions.get(clusterId) === session) sessions.delete(clusterId)
      onLeaving(session)
    })
    return session
  }

  function open(clusterId: string): MuxSession | undefined {
    const known = sessions.get(clusterId)
    return known?.state === 'open' ? known : undefined
  }

  return {
    open,

    async session(clusterId) {
      const known = open(clusterId)
      if (known !== undefined) return known
      // However many requests wait for the cluster, one of them dials.
      const running = dialing.get(clusterId)
      if (running !== undefined) return await running
      const started = dial(clusterId).finally(() => dialing.delete(clusterId))
      dialing.set(clusterId, started)
      return await started
    },

    upgrade: (clusterId, signal) => dialer.connectUpgrade(clusterId, signal),

    cutRemovedAgents: () => dialer.cutRemovedAgents(),

    close: () => dialer.close(),
  }
}
