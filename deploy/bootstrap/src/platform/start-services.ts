import { auditService } from '@postern/audit'
import { consoleService } from '@postern/console'
import { gatewayService } from '@postern/gateway'
import { createIdentityService } from '@postern/identity'
import { policyService } from '@postern/policy'
import { relayService } from '@postern/relay'
import { type RunningService, type RunOptions, runService } from '@postern/service'
import { sessionService } from '@postern/session'
import type { Log } from '@postern/telemetry'
import { tunnelBrokerService } from '@postern/tunnel-broker'
import type { ServiceName } from './environment.ts'

/** Starts services in this process, each with an environment of its own. */
export function createStartService(needs: {
  log: Log
  /** Handed the one-time set-up token while Postern has no administrator. */
  onSetupToken: (setupToken: string) => void
}): (name: ServiceName, env: Readonly<Record<string, string>>) => Promise<RunningService> {
  const { onSetupToken } = needs
  return async (name, env) => {
    const options: RunOptions = { log: needs.log.child({ service: name }) }
    switch (name) {
      case 'identity':
        return await runService(createIdentityService({ onSetupToken }), env, options)
      case 'policy':
        return await runService(policyService, env, options)
      case 'session':
        return await runService(sessionService, env, options)
      case 'tunnel-broker':
        return await runService(tunnelBrokerService, env, options)
      case 'audit':
        return await runService(auditService, env, options)
      case 'relay':
        return await runService(relayService, env, options)
      case 'gateway':
        return await runService(gatewayService, env, options)
      case 'console':
        return await runService(consoleService, env, options)
    }
  }
}
