import { fileURLToPath } from 'node:url'
import { hostPort } from '@postern/service'
import { z } from 'zod'

const MANIFEST = fileURLToPath(new URL('../../../deploy/agent/manifest.yaml', import.meta.url))

/** Beside the settings of every service. */
export const tunnelBrokerSettings = z.object({
  joinListen: hostPort()
    .default('127.0.0.1:0')
    .describe('TLS without client certificates: serves only AgentService.Join'),
  agentImage: z
    .string()
    .min(1)
    .default('postern/agent:latest')
    .describe('image of the agent in the join manifest'),
  manifestFile: z
    .string()
    .min(1)
    .default(MANIFEST)
    .describe('template of the join manifest, deploy/agent/manifest.yaml'),
})

export type TunnelBrokerConfig = z.output<typeof tunnelBrokerSettings>
