import { isDeepStrictEqual } from 'node:util'
import type { Json } from '../api.ts'
import type { PolicyDocument } from './policy-file.ts'

/** What has to happen for one document of the file to hold. */
export type Change = {
  readonly document: PolicyDocument
  readonly action: 'create' | 'change' | 'keep'
  readonly before: Json | undefined
}

/** What the API has now, by name. */
export type Present = {
  readonly roles: ReadonlyMap<string, Json>
  readonly grants: ReadonlyMap<string, Json>
}

/** Compares a file with what there is. Roles come first: grants name them. */
export function planChanges(documents: readonly PolicyDocument[], present: Present): Change[] {
  const ordered = documents.toSorted((left, right) => order(left) - order(right))
  return ordered.map((document) => {
    const existing = (document.kind === 'Role' ? present.roles : present.grants).get(document.name)
    if (existing === undefined) return { document, action: 'create', before: undefined }
    const before = specOf(document.kind, existing)
    const isSame = isDeepStrictEqual(normalized(before), normalized(document.spec))
    return { document, action: isSame ? 'keep' : 'change', before }
  })
}

function order({ kind }: PolicyDocument): number {
  return kind === 'Role' ? 0 : 1
}

function specOf(kind: PolicyDocument['kind'], item: Json): Json {
  return kind === 'Role'
    ? { description: item['description'], rules: item['rules'] }
    : { terms: item['terms'] }
}

/** What is empty and what is not there mean the same to the API. */
export function normalized(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(normalized)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value)
    .map(([key, inner]) => [key, normalizedField(key, inner)] as const)
    .filter(([, inner]) => !isEmpty(inner))
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
  return Object.fromEntries(entries)
}

/** An empty cluster selector selects every cluster: it is not the same as none. */
const MEANINGFUL_WHEN_EMPTY = new Set(['clusterSelector', 'labels'])
const EVERYTHING = 'everything'

function normalizedField(key: string, value: unknown): unknown {
  const inner = normalized(value)
  return MEANINGFUL_WHEN_EMPTY.has(key) && isEmptyObject(inner) ? EVERYTHING : inner
}

function isEmpty(value: unknown): boolean {
  return (
    value === undefined ||
    value === null ||
    value === '' ||
    value === false ||
    (Array.isArray(value) && value.length === 0) ||
    isEmptyObject(value)
  )
}

function isEmptyObject(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).length === 0
  )
}
