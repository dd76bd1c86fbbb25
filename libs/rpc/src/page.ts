import { rejections } from '@postern/errors'

const rejected = rejections({
  INVALID_PAGE_SIZE: ['invalid_argument', 'a page has 1 to 1000 entries; 0 means 100'],
  INVALID_PAGE_TOKEN: ['invalid_argument', 'the page token is not one that this list returned'],
})

const ENTRIES_DEFAULT = 100
const ENTRIES_MAX = 1000
const TOKEN_CHARACTERS_MAX = 1024

/** Where a page begins, and how long it may be. */
export type Page = { after: string; limit: number }

/** @throws Rejection INVALID_PAGE_SIZE, INVALID_PAGE_TOKEN */
export function parsePage(request: { pageSize: number; pageToken: string }): Page {
  const { pageSize, pageToken } = request
  const limit = parsePageSize(pageSize)
  const after = Buffer.from(pageToken.slice(0, TOKEN_CHARACTERS_MAX), 'base64url').toString()
  if (toPageToken(after) !== pageToken) throw rejected('INVALID_PAGE_TOKEN')
  return { after, limit }
}

/** @throws Rejection INVALID_PAGE_SIZE */
export function parsePageSize(pageSize: number): number {
  if (pageSize > ENTRIES_MAX) throw rejected('INVALID_PAGE_SIZE')
  return pageSize === 0 ? ENTRIES_DEFAULT : pageSize
}

/** The token of the page that begins after the key; keys are never secret. */
function toPageToken(after: string): string {
  return Buffer.from(after).toString('base64url')
}

/** The first entries of one more than a page, and the key that the next page begins after, if there is one. */
export function cutPage<Row>(rows: readonly Row[], { limit }: Page, keyOf: (row: Row) => string) {
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  const isLast = rows.length <= limit || last === undefined
  return { rows: shown, nextPageToken: isLast ? '' : toPageToken(keyOf(last)) }
}
