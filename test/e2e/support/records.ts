import type { PosternRecord } from '@postern/bootstrap'
import type { E2eWorld } from './e2e-world.ts'

const PAGES_MAX = 100

/** All audit records by a filter of the public API ("user=lead"), oldest first. */
export async function recordsWhere(world: E2eWorld, filter: string): Promise<PosternRecord[]> {
  const found: PosternRecord[] = []
  let pageToken = ''
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const path = `/v1/audit/records?ascending=true&pageSize=500&${filter}&pageToken=${pageToken}`
    const { records, nextPageToken } = await world.admin.api.call('GET', path)
    for (const record of Array.isArray(records) ? records : []) found.push(parseRecord(record))
    pageToken = typeof nextPageToken === 'string' ? encodeURIComponent(nextPageToken) : ''
    if (pageToken === '') return found
  }
  throw new Error('the records do not end')
}

function parseRecord(record: unknown): PosternRecord {
  if (typeof record !== 'object' || record === null || !('event' in record)) {
    throw new Error('a record has no event')
  }
  const event: PosternRecord = JSON.parse(String(record.event))
  return event
}
