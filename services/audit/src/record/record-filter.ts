import { type AuditEvent, searchableText } from './audit-event.ts'

/** What to look for; an empty text matches everything. */
export type RecordFilter = {
  readonly user: string
  readonly cluster: string
  readonly namespace: string
  readonly verb: string
  /** "pods" or "pods/exec". */
  readonly resource: string
  readonly decision: '' | 'allow' | 'deny'
  /** As the times of events are written. */
  readonly since: string | undefined
  readonly until: string | undefined
  readonly auditId: string
  readonly openOnly: boolean
}

/** What can be looked for in an event. */
export const searchedFields = [
  'user',
  'cluster',
  'namespace',
  'verb',
  'resource',
  'subresource',
  'decision',
  'auditId',
] as const
export type SearchedField = (typeof searchedFields)[number]

/** A field, and its text as it is read from a record. */
export type FieldWanted = { readonly field: SearchedField; readonly text: string }

export function fieldsWanted(filter: RecordFilter): readonly FieldWanted[] {
  const [resource = '', ...rest] = filter.resource.split('/')
  const subresource = rest.join('/')
  return searchedFields.flatMap((field) => {
    const text = { ...filter, resource, subresource }[field]
    // Who looks for pods does not look for pods/exec.
    const isWanted = text !== '' || (field === 'subresource' && resource !== '')
    return isWanted ? [{ field, text: searchableText(text) }] : []
  })
}

/** Whether a record that was received then matches; an entry that stands for an invalid one has no event. */
export function matches(
  record: { readonly event: AuditEvent | undefined; readonly receivedAt: string },
  fields: readonly FieldWanted[],
  { since, until }: Pick<RecordFilter, 'since' | 'until'>,
): boolean {
  const { event, receivedAt } = record
  return (
    (since === undefined || receivedAt >= since) &&
    (until === undefined || receivedAt < until) &&
    fields.every(({ field, text }) => (event === undefined ? '' : event[field]) === text)
  )
}
