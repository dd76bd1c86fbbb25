import { defineService } from '@postern/service'
import { composeGateway } from './compose.ts'
import { type GatewayConfig, gatewaySettings } from './config.ts'

/** Where kubectl connects: authenticates, decides, records and carries each request. */
export const gatewayService = defineService<GatewayConfig, unknown, never>({
  name: 'gateway',
  settings: gatewaySettings,
  drainSeconds: ({ drainNoticeSeconds, drainSeconds }) => drainNoticeSeconds + drainSeconds,
  compose: composeGateway,
})
