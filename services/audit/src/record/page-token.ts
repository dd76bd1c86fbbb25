import { createHash } from 'node:crypto'
import { rejections } from '@postern/errors'
import { z } from 'zod'

const rejected = rejections({
  PAGE_TOKEN_INVALID: [
    'invalid_argument',
    'the page token is malformed or belongs to another search; start again without it',
  ],
})

/** Where the next page goes on, within the log as it was when the first page was read. */
export type PagePosition = { readonly last: bigint; readonly logSize: bigint }

const number = z.string().regex(/^\d{1,19}$/)
const shape = z.tuple([number, number, z.string()])

export function toPageToken(position: PagePosition, search: object): string {
  const token = [String(position.last), String(position.logSize), digestOf(search)]
  return Buffer.from(JSON.stringify(token)).toString('base64url')
}

/** @throws Rejection PAGE_TOKEN_INVALID */
export function parsePageToken(token: string, search: object): PagePosition {
  const parsed = shape.safeParse(parseJson(Buffer.from(token, 'base64url').toString()))
  if (!parsed.success) throw rejected('PAGE_TOKEN_INVALID')
  const [last, logSize, digest] = parsed.data
  if (digest !== digestOf(search)) throw rejected('PAGE_TOKEN_INVALID')
  const position = { last: BigInt(last), logSize: BigInt(logSize) }
  if (position.last >= position.logSize || position.logSize > 2n ** 53n) {
    throw rejected('PAGE_TOKEN_INVALID')
  }
  return position
}

/** Of everything that the pages of one search share. */
function digestOf(search: object): string {
  const sorted = Object.entries(search).toSorted(([one], [other]) => (one < other ? -1 : 1))
  return createHash('sha256').update(JSON.stringify(sorted)).digest('base64url').slice(0, 16)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
