/** The canonical gRPC codes a business rule may refuse with. */
export type Category =
  | 'invalid_argument'
  | 'not_found'
  | 'already_exists'
  | 'failed_precondition'
  | 'permission_denied'
  | 'unauthenticated'
  | 'resource_exhausted'
  | 'unavailable'

export type Details = Readonly<Record<string, string | number | boolean>>

/** A business rule said no. Safe to show to the caller: it never carries a cause or a secret. */
export class Rejection extends Error {
  override readonly name = 'Rejection'
  readonly reason: string
  readonly category: Category
  readonly details: Details

  constructor(reason: string, category: Category, message: string, details: Details = {}) {
    super(message)
    this.reason = reason
    this.category = category
    this.details = details
  }
}

export type RejectionTable = Readonly<Record<string, readonly [Category, message: string]>>

/** Turns a table of reasons into a factory that accepts only those reasons. */
export function rejections<const T extends RejectionTable>(table: T) {
  return (reason: keyof T & string, details?: Details): Rejection => {
    const entry = table[reason]
    if (entry === undefined) throw new Error(`unknown rejection ${reason}`)
    return new Rejection(reason, entry[0], entry[1], details)
  }
}
