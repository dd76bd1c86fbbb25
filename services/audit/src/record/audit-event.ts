/** A record of a gateway: an audit.k8s.io/v1 Event. At most 60 KiB (KUBERNETES.md 8.6: less than kube). */
export const RECORD_BYTES_MAX = 60 * 1024

type Stage = 'RequestReceived' | 'ResponseStarted' | 'ResponseComplete' | 'Panic'

/** What searches look at. Texts are cut and cleaned so that every database takes them. */
export type AuditEvent = {
  readonly auditId: string
  readonly stage: Stage
  readonly user: string
  readonly cluster: string
  readonly namespace: string
  readonly verb: string
  readonly resource: string
  readonly subresource: string
  readonly decision: string
  /** RFC 3339 with microseconds, UTC; `undefined` where the record has no time. */
  readonly receivedAt: string | undefined
}

export type ParsedRecord =
  | { readonly valid: true; readonly event: AuditEvent }
  | { readonly valid: false; readonly reason: string }

const STAGES: ReadonlySet<unknown> = new Set<Stage>([
  'RequestReceived',
  'ResponseStarted',
  'ResponseComplete',
  'Panic',
])
const LEVELS: ReadonlySet<unknown> = new Set(['None', 'Metadata', 'Request', 'RequestResponse'])
/** Fits into an index row of PostgreSQL at three bytes a unit. */
const FIELD_CHARS_MAX = 512

type Json = Readonly<Record<string, unknown>>

class InvalidFieldError extends Error {}

/** Never throws: a record that is not an event says why. */
export function parseRecord(record: Uint8Array): ParsedRecord {
  if (record.length > RECORD_BYTES_MAX) {
    return invalid(`the record has ${record.length} bytes; at most ${RECORD_BYTES_MAX} are allowed`)
  }
  const text = decodeUtf8(record)
  if (text === undefined) return invalid('the record is not UTF-8')
  const json = parseJson(text)
  if (!isObject(json)) return invalid('the record is not a JSON object')
  const { kind, apiVersion } = json
  if (kind !== 'Event' || apiVersion !== 'audit.k8s.io/v1') {
    return invalid('the record is not an audit.k8s.io/v1 Event')
  }
  try {
    return { valid: true, event: readEvent(json) }
  } catch (error) {
    if (error instanceof InvalidFieldError) return invalid(error.message)
    throw error
  }
}

/** What the record says; `undefined` where it is no valid event. */
export function eventOf(record: Uint8Array): AuditEvent | undefined {
  const parsed = parseRecord(record)
  return parsed.valid ? parsed.event : undefined
}

/** What every database takes as it is, and nearly every text. */
const PLAIN = /^[ -~]{0,512}$/

/** The form in which a text is searched for: as it would have been stored. */
export function searchableText(text: string): string {
  if (PLAIN.test(text)) return text
  // PostgreSQL has no NUL in text and no halves of surrogate pairs in UTF-8.
  return text.toWellFormed().replaceAll('\0', '\uFFFD').slice(0, FIELD_CHARS_MAX)
}

function readEvent(json: Json): AuditEvent {
  const objectRef = objectField(json, 'objectRef')
  const annotations = objectField(json, 'annotations')
  const { auditID, stage, level } = json
  if (typeof auditID !== 'string' || auditID === '' || auditID.length > FIELD_CHARS_MAX) {
    throw new InvalidFieldError('auditID is missing or malformed')
  }
  if (!isStage(stage)) throw new InvalidFieldError('stage is missing or unknown')
  if (!LEVELS.has(level)) throw new InvalidFieldError('level is missing or unknown')
  const stageAt = timeField(json, 'stageTimestamp')
  return {
    auditId: searchableText(auditID),
    stage,
    user: textField(objectField(json, 'user'), 'username', 'user.username'),
    cluster: textField(annotations, 'postern.dev/cluster'),
    namespace: textField(objectRef, 'namespace', 'objectRef.namespace'),
    verb: textField(json, 'verb'),
    resource: textField(objectRef, 'resource', 'objectRef.resource'),
    subresource: textField(objectRef, 'subresource', 'objectRef.subresource'),
    decision: textField(annotations, 'postern.dev/decision'),
    receivedAt: timeField(json, 'requestReceivedTimestamp') ?? stageAt,
  }
}

function objectField(json: Json, name: string): Json {
  const value = own(json, name)
  if (value === undefined || value === null) return {}
  if (!isObject(value)) throw new InvalidFieldError(`${name} is not an object`)
  return value
}

function textField(json: Json, name: string, path = name): string {
  const value = own(json, name)
  if (value === undefined || value === null) return ''
  if (typeof value !== 'string') throw new InvalidFieldError(`${path} is not a string`)
  return searchableText(value)
}

const RFC_3339 = /^(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/

function timeField(json: Json, name: string): string | undefined {
  const value = own(json, name)
  if (value === undefined || value === null) return undefined
  const at = typeof value === 'string' ? toMicroseconds(value) : undefined
  if (at === undefined) throw new InvalidFieldError(`${name} is not a time`)
  return at
}

/** An RFC 3339 time as events have it, so that earlier is smaller; `undefined` where it is none. */
export function toMicroseconds(time: string): string | undefined {
  const [, second = '', fraction = '', zone = ''] = RFC_3339.exec(time) ?? []
  const inUtc = secondInUtc(`${second}${zone}`)
  return inUtc === undefined ? undefined : `${inUtc}.${fraction.padEnd(6, '0').slice(0, 6)}Z`
}

const lastRead: { second: string; inUtc: string | undefined } = { second: '', inUtc: undefined }

/** The records of a batch are from the same few seconds: each is read once. */
function secondInUtc(second: string): string | undefined {
  if (second !== lastRead.second) {
    const at = new Date(second.toUpperCase())
    const isTime = !Number.isNaN(at.getTime()) && isCommonYear(at)
    lastRead.inUtc = isTime ? at.toISOString().slice(0, -'.000Z'.length) : undefined
    lastRead.second = second
  }
  return lastRead.inUtc
}

function isCommonYear(at: Date): boolean {
  const year = at.getUTCFullYear()
  return year >= 1 && year <= 9999
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Never a name that the prototype brings along. */
function own(json: Json, name: string): unknown {
  return Object.hasOwn(json, name) ? json[name] : undefined
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isStage(value: unknown): value is Stage {
  return STAGES.has(value)
}

function invalid(reason: string): ParsedRecord {
  return { valid: false, reason }
}
