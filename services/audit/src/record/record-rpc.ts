import { rejections } from '@postern/errors'
import type {
  AuditServiceImplementation,
  SearchRecordsRequest,
} from '@postern/proto/postern/audit/v1/audit'
import { parsePageSize } from '@postern/rpc'
import { ANSWER_BYTES_MAX, type LogReader } from '../log/log-reader.ts'
import { toMicroseconds } from './audit-event.ts'
import { parsePageToken, toPageToken } from './page-token.ts'
import type { RecordFilter } from './record-filter.ts'
import type { RecordPage, RecordRange } from './record-search.ts'

const TEXT_CHARS_MAX = 1024

const rejected = rejections({
  DECISION_INVALID: ['invalid_argument', 'the decision is "allow", "deny" or empty'],
  FILTER_TOO_LONG: ['invalid_argument', `a filter has at most ${TEXT_CHARS_MAX} characters`],
  TIME_RANGE_INVALID: [
    'invalid_argument',
    'since and until are times, and since is not after until',
  ],
})

type Search = (search: {
  filter: RecordFilter
  range: RecordRange
  limit: number
  bytesMax: number
  signal: AbortSignal
}) => Promise<RecordPage>

export function createRecordHandlers(needs: {
  log: LogReader
  search: Search
}): Pick<AuditServiceImplementation, 'searchRecords'> {
  const { log, search } = needs
  return {
    async searchRecords(request, { signal }) {
      const { ascending, pageSize, pageToken } = request
      const limit = parsePageSize(pageSize)
      const filter = parseFilter(request)
      const same = { ...filter, ascending, afterIndex: request.afterIndex?.toString() }

      const start =
        pageToken === ''
          ? { last: undefined, logSize: BigInt((await log.head()).size) }
          : parsePageToken(pageToken, same)
      // Later entries are not part of this search, so that its pages neither shift nor never end.
      const range = rangeOf({ ...start, ascending, afterIndex: request.afterIndex })
      const page = await search({ filter, range, limit, bytesMax: ANSWER_BYTES_MAX, signal })
      const last = page.records.at(-1)?.index
      return {
        records: page.records.map(({ index, event }) => ({
          index: BigInt(index),
          event: event.toString(),
        })),
        nextPageToken:
          page.more && last !== undefined
            ? toPageToken({ last: BigInt(last), logSize: start.logSize }, same)
            : '',
      }
    },
  }
}

function rangeOf(start: {
  last: bigint | undefined
  logSize: bigint
  ascending: boolean
  afterIndex: bigint | undefined
}): RecordRange {
  const { last, logSize, ascending, afterIndex } = start
  const floor = afterIndex === undefined ? -1n : smaller(afterIndex, logSize)
  return ascending
    ? { after: last ?? floor, before: logSize, ascending }
    : { after: floor, before: last ?? logSize, ascending }
}

/** @throws Rejection */
function parseFilter(request: SearchRecordsRequest): RecordFilter {
  const { user, cluster, namespace, verb, resource, decision, auditId, openOnly } = request
  const texts = [user, cluster, namespace, verb, resource, auditId]
  if (texts.some((text) => text.length > TEXT_CHARS_MAX)) throw rejected('FILTER_TOO_LONG')
  if (decision !== '' && decision !== 'allow' && decision !== 'deny') {
    throw rejected('DECISION_INVALID')
  }
  const since = toTime(request.since)
  const until = toTime(request.until)
  if (since !== undefined && until !== undefined && since > until) {
    throw rejected('TIME_RANGE_INVALID')
  }
  return { user, cluster, namespace, verb, resource, decision, since, until, auditId, openOnly }
}

function toTime(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const time = toMicroseconds(text)
  if (time === undefined) throw rejected('TIME_RANGE_INVALID')
  return time
}

function smaller(one: bigint, other: bigint): bigint {
  return one < other ? one : other
}
