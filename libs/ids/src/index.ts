import { randomUUIDv7 } from 'node:crypto'
import { rejections } from '@postern/errors'

declare const kind: unique symbol
/** A UUID that has been checked to name one kind of thing. */
export type Id<Kind extends string> = string & { readonly [kind]: Kind }

const rejected = rejections({ INVALID_ID: ['invalid_argument', 'the id is malformed'] })

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Whether the text has the form of an id; names never have. */
export function isId(text: string): boolean {
  return UUID.test(text)
}

/** @throws Rejection INVALID_ID */
export function parseId<const Kind extends string>(as: Kind, text: string): Id<Kind> {
  if (!isId(text)) throw rejected('INVALID_ID', { kind: as })
  return branded(as, text)
}

function branded<const Kind extends string>(_as: Kind, text: string): Id<Kind> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- this is where the brand is earned
  return text as Id<Kind>
}

/** A new id: a UUIDv7 (RFC 9562), so that ids sort by the time they were made. */
export function newId<const Kind extends string>(as: Kind): Id<Kind> {
  return branded(as, randomUUIDv7())
}
