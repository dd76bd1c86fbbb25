import { annotation, type PosternRecord } from '@postern/bootstrap'
import type { ClusterEvent } from './cluster-audit-tail.ts'

const ACCOUNTS = 'system:serviceaccount:postern-jit:'

/** What Postern decided beside what the cluster saw, by Audit-ID, in whatever order they come. */
export type Comparison = {
  outcome(record: PosternRecord): void
  event(event: ClusterEvent): void
  /** What differs so far. */
  readonly different: readonly unknown[]
  /** Those that were forwarded. */
  readonly forwarded: number
  /** Forwarded ones that the cluster has not told of, and what it has told without a record. */
  untold(): readonly unknown[]
}

export function createComparison(): Comparison {
  const decidedOnes = new Map<string, ReturnType<typeof decidedOf> | 'not forwarded'>()
  const early = new Map<string, ClusterEvent[]>()
  const untold = new Map<string, PosternRecord>()
  const different: unknown[] = []
  let forwarded = 0

  function compare(event: ClusterEvent): void {
    const decided = decidedOnes.get(event.auditID)
    if (decided === undefined) {
      early.set(event.auditID, [...(early.get(event.auditID) ?? []), event])
      return
    }
    untold.delete(event.auditID)
    const done = doneOf(event, decided === 'not forwarded' ? '' : decided.object)
    if (JSON.stringify(decided) !== JSON.stringify(done)) different.push({ decided, done })
  }

  return {
    outcome(record) {
      const { auditID } = record
      // What was allowed and has no end may have been lost on its way there or back: it may be seen.
      const isAllowed = annotation(record, 'decision') === 'allow'
      decidedOnes.set(auditID, isAllowed ? decidedOf(record) : 'not forwarded')
      if (annotation(record, 'end') !== '') {
        forwarded += 1
        untold.set(auditID, record)
      }
      const events = early.get(auditID) ?? []
      early.delete(auditID)
      for (const event of events) compare(event)
    },
    event(event) {
      if (event.user.username?.startsWith(ACCOUNTS)) compare(event)
    },
    different,
    get forwarded() {
      return forwarded
    },
    untold: () => [
      ...[...untold.values()].map((record) => ({ notSeenByTheCluster: record })),
      ...[...early.values()].map((events) => ({ withoutRecord: events })),
    ],
  }
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
