import { readFileSync } from 'node:fs'
import type { DemoCluster } from '../demo/demo-cluster.ts'

/** An event of the cluster's own audit log, as far as the story looks at it. */
export type ClusterAuditEvent = {
  readonly auditID: string
  readonly verb: string
  readonly requestURI: string
  readonly user: { readonly username: string; readonly groups?: readonly string[] }
  readonly objectRef?: {
    readonly resource?: string
    readonly subresource?: string
    readonly namespace?: string
  }
}

const AGENT = 'system:serviceaccount:postern-system:postern-agent'
const ACCOUNTS = 'system:serviceaccount:postern-jit:'

export function readClusterAuditLog(cluster: DemoCluster): ClusterAuditEvent[] {
  return readFileSync(cluster.auditLog, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map(parseClusterAuditEvent)
}

/** What was refused before anybody was known is nobody's, under no name. */
function parseClusterAuditEvent(line: string): ClusterAuditEvent {
  const event: ClusterAuditEvent = JSON.parse(line)
  return { ...event, user: { ...event.user, username: event.user.username ?? '' } }
}

export function isByAccount({ user }: ClusterAuditEvent): boolean {
  return user.username.startsWith(ACCOUNTS)
}

export function isByAgent({ user }: ClusterAuditEvent): boolean {
  return user.username === AGENT
}

/** What the agent does in its own name: accounts, bindings, its identity, namespaces, self-tests. */
export function isAgentsOwnWork({ requestURI, objectRef }: ClusterAuditEvent): boolean {
  const resource = objectRef?.resource ?? ''
  const own = [
    'serviceaccounts',
    'secrets',
    'rolebindings',
    'clusterrolebindings',
    'namespaces',
    'selfsubjectaccessreviews',
    'subjectaccessreviews',
  ]
  return (
    own.includes(resource) || /^\/(version|healthz|api|apis)\b/.test(requestURI.split('?')[0] ?? '')
  )
}
