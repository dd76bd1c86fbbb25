import { setTimeout } from 'node:timers/promises'
import { type RenewingTlsIdentity, staticTlsIdentity } from '@postern/pki'
import type { Log } from '@postern/telemetry'
import { removeExpired } from '../account/clear-away.ts'
import { createClusterObjects } from '../account/cluster-objects.ts'
import { createControlPlane } from '../adapters/control-plane.ts'
import { createIdentitySecret } from '../adapters/identity-secret.ts'
import type { KubeClient } from '../adapters/kube-client.ts'
import { openKubernetes } from '../adapters/open-kubernetes.ts'
import { createTunnelBrokerClient, join } from '../adapters/tunnel-broker-client.ts'
import type { AgentConfig } from '../config.ts'
import { enrol } from './enrol.ts'
import { renewIdentity } from './renew-identity.ts'

const SWEEP_MS = 60_000

/**
 * The agent's certificate, renewed for as long as it runs. When it expires in spite of that the
 * process ends with the error, and starts again with whatever join token there is then.
 */
export async function openAgentIdentity(needs: {
  readonly config: AgentConfig
  readonly trustDomain: string
  readonly log: Log
  readonly now: () => Date
}): Promise<RenewingTlsIdentity> {
  const { config, trustDomain, log, now } = needs
  const { roots } = config
  const closing = new AbortController()
  const { signal } = closing
  const kubernetes = await openKubernetes(config)
  const secret = createIdentitySecret({
    kube: kubernetes.client,
    namespace: kubernetes.namespace,
    log,
  })
  const sweeping = sweepUntilEnrolled({ kube: kubernetes.client, now, log })
  const enrolling = enrol({
    secret,
    join,
    relays: config.relays,
    trustDomain,
    roots,
    joinToken: config.joinToken?.reveal(),
    now,
    log,
    signal,
  })
  await Promise.allSettled([enrolling])
  await sweeping.end()
  const enrolled = await enrolling
  const identity = staticTlsIdentity(enrolled.material)
  const relays = [...new Set([...enrolled.relays, ...config.relays])]
  const controlPlane = createControlPlane({
    relays: () => relays,
    identity,
    trustDomain,
    isFatal: () => false,
    log,
  })
  const tunnelBroker = createTunnelBrokerClient(controlPlane)
  const renew = (csr: Buffer) => tunnelBroker.renew(csr)
  void renewIdentity({ identity, secret, renew, roots, now, log, signal })
  return {
    ...identity,
    close() {
      closing.abort()
      controlPlane.close()
      kubernetes.close()
    },
  }
}

/**
 * Nobody can tell an agent that is not enrolled which sessions there are, and it may stay so for good: what has
 * expired goes all the same, at once and every minute.
 */
function sweepUntilEnrolled(needs: {
  readonly kube: KubeClient
  readonly now: () => Date
  readonly log: Log
}) {
  const { kube, now, log } = needs
  const ending = new AbortController()
  const objects = createClusterObjects({ kube })
  const sweep = async () => {
    do {
      await removeExpired({ objects, log, now }).catch((error: unknown) => {
        log.warn({ err: error }, 'expired objects not removed')
      })
      await setTimeout(SWEEP_MS, undefined, { signal: ending.signal }).catch(() => {})
    } while (!ending.signal.aborted)
  }
  const swept = sweep()
  return {
    /** Resolves when what has begun is done. */
    async end(): Promise<void> {
      ending.abort()
      await swept
    },
  }
}
