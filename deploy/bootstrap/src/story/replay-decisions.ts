import {
  type Cluster,
  decide,
  EMPTY_SNAPSHOT,
  parseRequestInfo,
  type Snapshot,
} from '@postern/access'
import { canonicalTarget } from '@postern/kube-http'
import {
  foldClusters,
  foldIdentity,
  foldPolicy,
  identityCodec,
  NO_CLUSTERS,
  NO_IDENTITY,
  NO_POLICY,
  policyCodec,
  toSnapshot,
  tunnelBrokerCodec,
} from '@postern/replica'
import type pg from 'pg'
import { withDatabase } from './database.ts'
import { annotation, type PosternRecord } from './postern-records.ts'
import type { World } from './world.ts'

export type Replayed = { readonly decisions: number; readonly differences: readonly string[] }

/**
 * Decides every recorded decision again from the positions that stand in its record, on snapshots
 * folded from nothing but the logs, and compares outcome, grant and reason.
 */
export async function replayDecisions(
  world: World,
  records: readonly PosternRecord[],
): Promise<Replayed> {
  const at = await readHistory(world)
  const differences: string[] = []
  const decided = records.filter(isDecision)
  for (const record of decided) {
    const wanted = [
      annotation(record, 'decision'),
      annotation(record, 'grant'),
      annotation(record, 'reason'),
    ]
    const seen = decideAgain(record, at(positionsOf(record)))
    if (JSON.stringify(seen) !== JSON.stringify(wanted)) {
      differences.push(
        `${record.auditID} ${record.verb} ${record.requestURI}: ${wanted.join(' | ')} became ${seen.join(' | ')}`,
      )
    }
  }
  return { decisions: decided.length, differences }
}

/** A record of a request that policy decided; others were refused before, for their form. */
function isDecision(record: PosternRecord): boolean {
  if (record.user.username === undefined || annotation(record, 'method') === '') return false
  return (
    annotation(record, 'decision') === 'allow' || /forbidden/.test(annotation(record, 'reason'))
  )
}

function decideAgain(record: PosternRecord, snapshot: Snapshot): string[] {
  const { target } = canonicalTarget(record.requestURI.replace(/^\/clusters\/[^/?]+/, '') || '/')
  const info = parseRequestInfo(annotation(record, 'method'), target)
  const clusterId = byName(snapshot.clusters, annotation(record, 'cluster'))
  const userId = byName(snapshot.users, record.user.username ?? '')
  const moment = new Date(record.requestReceivedTimestamp)
  const decision = decide(snapshot, { userId, clusterId }, info, moment)
  return [decision.outcome, decision.grant?.name ?? '', decision.reason]
}

function byName(named: ReadonlyMap<string, Pick<Cluster, 'id' | 'name'>>, name: string): string {
  return [...named.values()].find((one) => one.name === name)?.id ?? ''
}

type Positions = Readonly<Record<'identity' | 'policy' | 'tunnel-broker', number>>

/** "identity=12,policy=3,tunnel-broker=7" */
function positionsOf(record: PosternRecord): Positions {
  const pairs = annotation(record, 'positions')
    .split(',')
    .map((pair) => pair.split('='))
  const of = (name: string) => Number(pairs.find(([log]) => log === name)?.[1] ?? 0)
  return { identity: of('identity'), policy: of('policy'), 'tunnel-broker': of('tunnel-broker') }
}

/** Every state that the three logs ever had, by position. */
async function readHistory(world: World): Promise<(positions: Positions) => Snapshot> {
  return await withDatabase(world, async (client) => {
    const identity = await history(
      client,
      'identity',
      (encoded) => identityCodec.decode(encoded),
      NO_IDENTITY,
      foldIdentity,
    )
    const policy = await history(
      client,
      'policy',
      (encoded) => policyCodec.decode(encoded),
      NO_POLICY,
      foldPolicy,
    )
    const clusters = await history(
      client,
      'tunnel_broker',
      (encoded) => tunnelBrokerCodec.decode(encoded),
      NO_CLUSTERS,
      foldClusters,
    )
    const state = <T>(states: readonly T[], pos: number): T => {
      const found = states[pos]
      if (found === undefined) throw new Error(`a record names position ${pos}, which no log has`)
      return found
    }
    return (positions) =>
      toSnapshot(
        EMPTY_SNAPSHOT,
        state(identity, positions.identity),
        state(policy, positions.policy),
        state(clusters, positions['tunnel-broker']),
      )
  })
}

type Row = { type: string; schema_ver: number; data: Buffer; at: Date }

async function history<State, Event>(
  client: pg.Client,
  schema: string,
  decode: (encoded: { type: string; schemaVer: number; data: Uint8Array }) => Event | undefined,
  empty: State,
  fold: (state: State, batch: readonly { event: Event; at: string }[]) => State,
): Promise<State[]> {
  const { rows } = await client.query<Row>(
    `select type, schema_ver, data, at from ${schema}.event order by pos`,
  )
  const states = [empty]
  let state = empty
  for (const { type, schema_ver: schemaVer, data, at } of rows) {
    const event = decode({ type, schemaVer, data })
    if (event === undefined) throw new Error(`${schema} holds ${type}, which nobody knows`)
    state = fold(state, [{ event, at: at.toISOString() }])
    states.push(state)
  }
  return states
}
