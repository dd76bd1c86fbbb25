import { annotation, type PosternRecord } from '@postern/bootstrap'
import type { ClusterEvent } from './cluster-audit-tail.ts'

const ACCOUNTS = 'system:serviceaccount:postern-jit:'

/** What differs between what Postern decided and what the cluster saw; empty when nothing does. */
export function differences(
  outcomes: readonly PosternRecord[],
  events: readonly ClusterEvent[],
): unknown[] {
  const ofAccounts = events.filter(({ user }) => user.username.startsWith(ACCOUNTS))
  const byId = new Map<string, ClusterEvent[]>()
  for (const event of ofAccounts) {
    byId.set(event.auditID, [...(byId.get(event.auditID) ?? []), event])
  }
  const different: unknown[] = []
  for (const record of outcomes) {
    const seen = byId.get(record.auditID) ?? []
    byId.delete(record.auditID)
    // Only what was forwarded has an end.
    const isForwarded = annotation(record, 'end') !== ''
    if (isForwarded !== seen.length > 0) different.push({ record, seen })
    for (const event of seen) {
      const decided = decidedOf(record)
      const done = doneOf(event, decided.object)
      if (JSON.stringify(decided) !== JSON.stringify(done)) different.push({ decided, done })
    }
  }
  for (const event of byId.values()) different.push({ withoutRecord: event })
  return different
}

/** Those that were forwarded, and that the cluster has not told of yet. */
export function isUntold(
  outcomes: readonly PosternRecord[],
  events: readonly ClusterEvent[],
): boolean {
  const told = new Set(events.map(({ auditID }) => auditID))
  return outcomes.some((record) => annotation(record, 'end') !== '' && !told.has(record.auditID))
}

function decidedOf(record: PosternRecord) {
  const forwarded = annotation(record, 'forwarded-target')
  const uri = forwarded === '' ? record.requestURI.replace(/^\/clusters\/[^/?]+/, '') : forwarded
  const account = `${ACCOUNTS}${annotation(record, 'account')}`
  return { account, ...attributesOf({ ...record, requestURI: uri }) }
}

function doneOf(event: ClusterEvent, decidedObject: string) {
  const attributes = attributesOf(event)
  // kube-apiserver takes the name of what is created from its body, which Postern does not read.
  const object = event.verb === 'create' && decidedObject === '' ? '' : attributes.object
  return { account: event.user.username, ...attributes, object }
}

/** What RBAC decides on, and the address: a path means what it says once it is decoded. */
function attributesOf(of: Pick<ClusterEvent, 'verb' | 'requestURI' | 'objectRef'>) {
  const {
    resource = '',
    subresource = '',
    namespace = '',
    name = '',
    apiGroup = '',
  } = of.objectRef ?? {}
  const [path = '', query = ''] = of.requestURI.split('?')
  const meant = path === '' || path === '/' ? '/' : decodeURIComponent(path).replace(/\/$/, '')
  return {
    verb: of.verb,
    path: meant,
    query,
    resource,
    subresource,
    namespace,
    object: name,
    apiGroup,
  }
}
