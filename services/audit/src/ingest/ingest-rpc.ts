import { rejections } from '@postern/errors'
import { IngestServiceDefinition } from '@postern/proto/postern/audit/v1/audit'
import { register } from '@postern/rpc'
import type { Sequencer } from '../log/sequencer.ts'
import { type ProducerKey, producerKey } from '../producer/producer-id.ts'

const RECORDS_MAX = 1000
/** What a bigint of PostgreSQL holds. */
const NUMBER_MAX = 2n ** 63n - 1n

const rejected = rejections({
  RECORDS_TOO_MANY: [
    'invalid_argument',
    `at most ${RECORDS_MAX} records can be appended at a time`,
  ],
  NUMBER_OUT_OF_RANGE: ['invalid_argument', 'records are numbered from 1 up to 2^63 - 1'],
})

export function createIngestRpc(needs: {
  sequencer: Sequencer
  /** The number up to which everything of the producer is stored. */
  storedOf: (producer: ProducerKey) => Promise<bigint>
}) {
  const { sequencer, storedOf } = needs
  return register(IngestServiceDefinition, {
    async appendRecords({ spoolId, first, records }, { call }) {
      // Whose records they are is what the certificate says, never what the request says.
      const producer = producerKey(call.peer.spiffeId, spoolId)
      if (records.length > RECORDS_MAX) throw rejected('RECORDS_TOO_MANY')
      if (first < 1n || first > NUMBER_MAX - BigInt(RECORDS_MAX)) {
        throw rejected('NUMBER_OUT_OF_RANGE')
      }
      if (records.length === 0) return { stored: await storedOf(producer) }
      return { stored: await sequencer.append({ producer, first, records, actor: call.actor }) }
    },
  })
}
