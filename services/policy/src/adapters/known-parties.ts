import type { Snapshot } from '@postern/access'
import { Rejection, rejections } from '@postern/errors'
import { isId } from '@postern/ids'
import type { Replica } from '@postern/replica'

const rejected = rejections({
  NOT_READY: [
    'unavailable',
    'policy is still reading the logs of identity and tunnel-broker; try again in a moment',
  ],
})

/** Users, groups and clusters, as identity and tunnel-broker know them. */
export type KnownParties = {
  snapshot(): Snapshot
  /** @throws Rejection USER_NOT_FOUND, GROUP_NOT_FOUND, CLUSTER_NOT_FOUND that says which, NOT_READY */
  resolve(kind: Kind, reference: string): Promise<string>
  /** The name, or the id of something that is gone. */
  nameOf(kind: Kind, id: string): string
  /** Resolves once the replica has applied policy's own log up to a position. */
  hasApplied(policyPosition: bigint): Promise<void>
}

type Kind = 'user' | 'group' | 'cluster'

/** Whoever was created a moment ago is on the way here. */
const ARRIVAL_MS_MAX = 1500

export function createKnownParties(
  replica: Pick<Replica, 'snapshot' | 'caughtUp' | 'positions' | 'onChange'>,
  arrivalMsMax = ARRIVAL_MS_MAX,
): KnownParties {
  const { snapshot } = replica

  async function until(isSo: () => boolean): Promise<boolean> {
    if (isSo()) return true
    let end = () => {}
    let timer: NodeJS.Timeout | undefined
    try {
      await new Promise<void>((resolve) => {
        timer = setTimeout(() => resolve(), arrivalMsMax)
        end = replica.onChange(() => {
          if (isSo()) resolve()
        })
      })
      return isSo()
    } finally {
      clearTimeout(timer)
      end()
    }
  }

  return {
    snapshot() {
      if (!replica.caughtUp) throw rejected('NOT_READY')
      return snapshot()
    },

    async resolve(kind, reference) {
      if (!(await until(() => findId(snapshot(), kind, reference) !== undefined))) {
        if (!replica.caughtUp) throw rejected('NOT_READY')
        throw notFound(kind, reference)
      }
      const id = findId(snapshot(), kind, reference)
      if (id === undefined) throw notFound(kind, reference)
      return id
    },

    nameOf: (kind, id) => tableOf(snapshot(), kind).get(id)?.name ?? id,

    async hasApplied(position) {
      if (!(await until(() => replica.caughtUp && replica.positions().policy >= position))) {
        throw rejected('NOT_READY')
      }
    },
  }
}

function findId(snapshot: Snapshot, kind: Kind, reference: string): string | undefined {
  const table = tableOf(snapshot, kind)
  if (isId(reference)) return table.has(reference) ? reference : undefined
  const wanted = reference.toLowerCase()
  for (const { id, name } of table.values()) if (name.toLowerCase() === wanted) return id
  return undefined
}

function tableOf(
  snapshot: Snapshot,
  kind: Kind,
): ReadonlyMap<string, { readonly id: string; readonly name: string }> {
  switch (kind) {
    case 'user':
      return snapshot.users
    case 'group':
      return snapshot.groups
    case 'cluster':
      return snapshot.clusters
  }
}

function notFound(kind: Kind, reference: string): Rejection {
  const reason = `${kind.toUpperCase()}_NOT_FOUND`
  return new Rejection(reason, 'not_found', `there is no ${kind} "${reference.slice(0, 253)}"`)
}
