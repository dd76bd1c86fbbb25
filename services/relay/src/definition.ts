import { defineService } from '@postern/service'
import { composeRelay } from './compose.ts'
import { relaySettings } from './config.ts'

/** Pairs gateways and agents. Sees ciphertext only, and owns no log. */
export const relayService = defineService({
  name: 'relay',
  settings: relaySettings,
  drainSeconds: ({ drainSeconds }) => drainSeconds,
  compose: composeRelay,
})
