import type { Log } from '@postern/telemetry'
import type { IdentitySecret } from './adapters/identity-secret.ts'

/** Which relays there are: those of the settings until tunnel-broker has named others. */
export function createRelayList(needs: {
  readonly configured: readonly string[]
  readonly secret: IdentitySecret
  readonly log: Log
}) {
  const { configured, secret, log } = needs
  let all = configured

  /** For the next start, when those of the settings may be gone. */
  async function remember(relays: readonly string[]): Promise<void> {
    const stored = await secret.read()
    if (stored === undefined || stored.relays.join() === relays.join()) return
    await secret.write({ ...stored, relays })
  }

  return {
    get all() {
      return all
    },
    learn(relays: readonly string[]): void {
      // None at all is no configuration that one could be reached by.
      if (relays.length === 0) return
      all = relays
      remember(relays).catch((error: unknown) => log.warn({ err: error }, 'relays not stored'))
    },
  }
}
