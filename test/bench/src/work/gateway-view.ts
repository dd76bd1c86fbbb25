import { createDecider, type Decider, type Snapshot } from '@postern/access'
import { clientLines } from '../../../../services/gateway/src/front/client-lines.ts'
import type { FrontHead } from '../../../../services/gateway/src/front/front-interface.ts'
import type { AdmissionView } from '../../../../services/gateway/src/request/admit.ts'
import { BENCH_CLUSTER, POPULATION, USERS_WITH_TOKENS } from '../stacks/population.ts'
import { knownOf } from './population-snapshot.ts'

/** What requests are decided with, and the requests: as much as the benchmark's users have, and as they ask. */
export type GatewayView = {
  readonly view: AdmissionView
  readonly decider: Decider
  readonly snapshot: Snapshot
  /** One of each user that puts load on, in turn. */
  readonly headAt: (n: number) => FrontHead
  readonly requesterAt: (n: number) => { readonly userId: string; readonly clusterId: string }
}

export const PATH = '/api/v1/namespaces/bench/pods/small'
const HOUR_MS = 3_600_000

export function gatewayView(now: Date): GatewayView {
  const expiresAt = new Date(now.getTime() + HOUR_MS).toISOString()
  const { snapshot, tokens, secrets } = knownOf(POPULATION, expiresAt)
  const decider = createDecider()
  const clusters = new Map([...snapshot.clusters.values()].map((one) => [one.name, one]))
  const heads = secrets.slice(0, USERS_WITH_TOKENS).map(headWith)
  const none = headWith('')
  return {
    view: {
      domain: 'postern.example',
      leaseValid: () => true,
      snapshot: () => snapshot,
      tokenBySha256: (sha256) => tokens.get(sha256),
      clusterByName: (name) => clusters.get(name),
      decide: (from, requester, info, at) => decider.decide(from, requester, info, at),
    },
    decider,
    snapshot,
    headAt: (n) => heads[n % heads.length] ?? none,
    requesterAt: (n) => ({
      userId: `user-${n % USERS_WITH_TOKENS}`,
      clusterId: BENCH_CLUSTER.name,
    }),
  }
}

function headWith(token: string): FrontHead {
  const peer = { remoteAddress: '127.0.0.1', memory: {} }
  return {
    protocol: 'http/1.1',
    method: 'GET',
    target: `/clusters/${BENCH_CLUSTER.name}${PATH}`,
    authority: '127.0.0.1:8443',
    serverName: undefined,
    lines: clientLines(
      [
        ['Host', '127.0.0.1:8443'],
        ['User-Agent', 'kubectl/v1.35.4 (linux/amd64) kubernetes/0000000'],
        ['Accept', 'application/json, */*'],
        ['Authorization', `Bearer ${token}`],
      ],
      peer,
    ),
    upgrade: undefined,
    memory: peer.memory,
  }
}
