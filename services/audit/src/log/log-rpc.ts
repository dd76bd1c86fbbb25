import { rejections } from '@postern/errors'
import type { AuditServiceImplementation } from '@postern/proto/postern/audit/v1/audit'
import { TILE_WIDTH } from '@postern/tlog'
import type { LogReader } from './log-reader.ts'

const LEAVES_DEFAULT = 500
const LEAVES_MAX = 1000
const LEVEL_MAX = 63

const rejected = rejections({
  LIMIT_OUT_OF_RANGE: ['invalid_argument', `the limit is 1 to ${LEAVES_MAX}, or 0 for the default`],
  TILE_INVALID: ['invalid_argument', 'a tile has a level of 0 to 63 and a width of 0 to 255'],
})

type LogHandlers = Pick<
  AuditServiceImplementation,
  'getCheckpoint' | 'listLeaves' | 'getInclusionProof' | 'getConsistencyProof' | 'getTile'
>

/** What lets anyone prove for themselves that nothing was rewritten. */
export function createLogHandlers(log: LogReader, verifierKey: string): LogHandlers {
  return {
    async getCheckpoint() {
      const { note } = await log.head()
      return { checkpoint: note, verifierKey }
    },

    async listLeaves({ first, limit }) {
      if (limit > LEAVES_MAX) throw rejected('LIMIT_OUT_OF_RANGE')
      return { leaves: [...(await log.leaves(first, limit === 0 ? LEAVES_DEFAULT : limit))] }
    },

    async getInclusionProof({ index, treeSize }) {
      return { hashes: toBuffers(await log.inclusionProof(index, treeSize)) }
    },

    async getConsistencyProof({ oldSize, newSize }) {
      return { hashes: toBuffers(await log.consistencyProof(oldSize, newSize)) }
    },

    async getTile({ level, index, width }) {
      if (level > LEVEL_MAX || width >= TILE_WIDTH) throw rejected('TILE_INVALID')
      const wanted = width === 0 ? TILE_WIDTH : width
      return { tile: await log.tile({ level, index: toIndex(index), width: wanted }) }
    },
  }
}

/** No tile has an index that a number does not hold: the log would have to be larger than 2^53. */
function toIndex(index: bigint): number {
  return Number(index > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : index)
}

function toBuffers(hashes: readonly Uint8Array[]): Buffer[] {
  return hashes.map((hash) => Buffer.from(hash))
}
