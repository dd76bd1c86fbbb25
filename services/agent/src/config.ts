import { processEnvironment, secret } from '@postern/config'
import { certificatesFromPem } from '@postern/pki'
import { hostPort, hostPorts } from '@postern/service'
import { z } from 'zod'

const SERVICE_ACCOUNT_DIR = '/var/run/secrets/kubernetes.io/serviceaccount'
const RELAYS_MAX = 32

/** Beside the settings of every service. */
export const agentSettings = z.object({
  cluster: z.string().min(1).max(63).describe('name of the cluster, for the log'),
  relays: hostPorts(RELAYS_MAX).describe('host:port of the relays, with commas between'),
  roots: z
    .string()
    .refine(isPem, 'must be PEM certificates')
    .describe('roots of the installation, PEM; the agent trusts nothing else'),
  joinToken: secret().optional().describe('works once; not needed once the agent has joined'),
  serviceAccountDir: z
    .string()
    .min(1)
    .default(SERVICE_ACCOUNT_DIR)
    .describe('where Kubernetes mounts the service account; may be relative'),
  kubernetes: hostPort()
    .default(inCluster)
    .describe('kube-apiserver; as Kubernetes says in every pod'),
  drainSeconds: z.coerce
    .number()
    .int()
    .min(0)
    .max(3_600)
    .default(20)
    .describe('when it stops: how long what runs may go on'),
  version: z.string().min(1).max(100).default('dev').describe('what the agent says it is'),
})

export type AgentConfig = z.output<typeof agentSettings>

function inCluster(): string {
  const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '' } =
    processEnvironment()
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function isPem(text: string): boolean {
  try {
    return certificatesFromPem(text).length > 0
  } catch {
    return false
  }
}
