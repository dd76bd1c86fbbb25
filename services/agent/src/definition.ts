import { defineService } from '@postern/service'
import { composeAgent } from './compose.ts'
import { agentSettings } from './config.ts'
import { openAgentIdentity } from './identity/open-agent-identity.ts'

/** Runs inside a cluster: makes the accounts, carries requests to kube-apiserver. Owns no log. */
export const agentService = defineService({
  name: 'agent',
  settings: agentSettings,
  tlsIdentity: openAgentIdentity,
  drainSeconds: ({ drainSeconds }) => drainSeconds,
  compose: composeAgent,
})
