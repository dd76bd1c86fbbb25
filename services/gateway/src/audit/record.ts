import { RECORD_BYTES_MAX } from './spool-frame.ts'

type Stage = 'RequestReceived' | 'ResponseStarted' | 'ResponseComplete'

/** What is known of a request when a record of it is written. */
export type AuditSubject = {
  readonly auditId: string
  readonly receivedAt: Date
  /** As received. */
  readonly target: string
  readonly verb: string
  readonly user?: {
    readonly userName: string
    readonly userId: string
    readonly groups: readonly string[]
  }
  readonly remoteAddress: string
  readonly userAgent: string | undefined
  readonly objectRef?: {
    readonly resource: string
    readonly subresource: string
    readonly namespace: string
    readonly name: string
    readonly apiGroup: string
    readonly apiVersion: string
  }
  /** Without the domain: `cluster`, `decision`, ... Empty ones are left out. A stage adds others. */
  readonly annotations: Annotations
  /** More of them, which many records say alike. */
  readonly standing?: Annotations
}

export type Annotations = Readonly<Record<string, string | undefined>>

export type AuditStage = {
  readonly stage: Stage
  readonly at: Date
  readonly response?: { readonly code: number; readonly reason?: string; readonly message?: string }
  readonly annotations?: Annotations
}

const USER_AGENT_CHARACTERS_MAX = 1024
const MESSAGE_CHARACTERS_MAX = 2048
const ANNOTATION_CHARACTERS_MAX = 1024
const GROUPS_MAX = 200
const NAME_CHARACTERS_MAX = 512

/** One audit.k8s.io/v1 Event in JSON, at most RECORD_BYTES_MAX bytes. */
export function auditRecord(subject: AuditSubject, stage: AuditStage): Buffer {
  const uri = redactTarget(subject.target)
  const whole = encode(subject, stage, uri)
  if (whole.length <= RECORD_BYTES_MAX) return whole
  // Only a request URI can be this long: everything else is bounded above. As kube-apiserver does,
  // say that the record is not whole. A character takes six bytes of JSON at most.
  const others = whole.length - Buffer.byteLength(JSON.stringify(uri))
  const room = Math.max(0, Math.floor((RECORD_BYTES_MAX - others - 200) / 6))
  return encode(subject, stage, uri.slice(0, room), true)
}

/** The text is put together by hand: for what is the same in every record, that costs a third. */
function encode(
  subject: AuditSubject,
  { stage, at, response, annotations }: AuditStage,
  requestURI: string,
  isTruncated = false,
): Buffer {
  const { user, objectRef, remoteAddress, userAgent } = subject
  let text =
    `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata",` +
    `"auditID":${json(subject.auditId)},"stage":"${stage}","requestURI":${json(requestURI)},` +
    `"verb":${json(cut(subject.verb, 64))},"user":${user === undefined ? '{}' : once(user, userText)},` +
    `"sourceIPs":${remoteAddress === '' ? '[]' : `[${json(remoteAddress)}]`}`
  if (userAgent !== undefined) {
    text += `,"userAgent":${json(userAgent.slice(0, USER_AGENT_CHARACTERS_MAX))}`
  }
  if (objectRef !== undefined) text += `,"objectRef":${objectRefText(objectRef)}`
  if (response !== undefined) text += `,"responseStatus":${responseText(response)}`
  text +=
    `,"requestReceivedTimestamp":"${toMicroTime(subject.receivedAt)}"` +
    `,"stageTimestamp":"${toMicroTime(at)}","annotations":{`
  const standing = subject.standing === undefined ? '' : once(subject.standing, annotationsText)
  const facts = standing + annotationsText(subject.annotations) + annotationsText(annotations)
  const marks = isTruncated ? `${facts}"audit.k8s.io/truncated":"true",` : facts
  return Buffer.from(`${text}${marks.slice(0, -1)}}}`)
}

/** Values of query keys that carry secrets never reach a record. Command lines stay: they are wanted. */
export function redactTarget(target: string): string {
  const question = target.indexOf('?')
  if (question === -1) return target
  const pairs = target.slice(question + 1).split('&')
  const redacted = pairs.map((pair) => {
    const equals = pair.indexOf('=')
    if (equals === -1) return pair
    const key = pair.slice(0, equals)
    return isSecretKey(key) ? `${key}=REDACTED` : pair
  })
  return `${target.slice(0, question + 1)}${redacted.join('&')}`
}

function isSecretKey(key: string): boolean {
  return /token|passw|secret|credential|authorization|api[-_]?key/i.test(decoded(key))
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // Malformed: such a request is refused, but its record must not leak either.
    return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
  }
}

let second = Number.NaN
let secondText = ''

/** metav1.MicroTime: RFC 3339 with exactly six digits of a second. What a second has is written once. */
function toMicroTime(at: Date): string {
  const ms = at.getTime()
  const whole = Math.floor(ms / 1000)
  if (whole !== second) {
    secondText = new Date(whole * 1000).toISOString().slice(0, -4)
    second = whole
  }
  return `${secondText}${String(ms - whole * 1000).padStart(3, '0')}000Z`
}

const texts = new WeakMap<object, string>()

/** The text of what many records share: it is the same object in all of them, and nothing changes it. */
function once<Shared extends object>(shared: Shared, textOf: (shared: Shared) => string): string {
  const known = texts.get(shared)
  if (known !== undefined) return known
  const text = textOf(shared)
  texts.set(shared, text)
  return text
}

function userText({ userName, userId, groups }: NonNullable<AuditSubject['user']>): string {
  const names = groups.slice(0, GROUPS_MAX).map((name) => json(cut(name, 64)))
  const name = json(cut(userName, NAME_CHARACTERS_MAX))
  return `{"username":${name},"uid":${json(userId)},"groups":[${names.join(',')}]}`
}

function objectRefText(ref: NonNullable<AuditSubject['objectRef']>): string {
  const { resource, namespace, name, apiGroup, apiVersion, subresource } = ref
  return (
    `{"resource":${json(cut(resource, NAME_CHARACTERS_MAX))}` +
    member('namespace', namespace) +
    member('name', name) +
    member('apiGroup', apiGroup) +
    member('apiVersion', apiVersion) +
    `${member('subresource', subresource)}}`
  )
}

function responseText({ code, reason, message }: NonNullable<AuditStage['response']>): string {
  const status = code >= 400 ? ',"status":"Failure"' : ''
  const said = message === undefined ? '' : cut(message, MESSAGE_CHARACTERS_MAX)
  return (
    `{"metadata":{}${status}` +
    (message === undefined ? '' : `,"message":${json(said)}`) +
    (reason === undefined ? '' : `,"reason":${json(reason)}`) +
    `,"code":${code}}`
  )
}

/** Each with a comma behind it. */
function annotationsText(facts: Annotations = {}): string {
  let text = ''
  for (const name in facts) {
    const value = facts[name]
    if (value === undefined || value === '') continue
    text += `"postern.dev/${name}":${json(cut(value, ANNOTATION_CHARACTERS_MAX))},`
  }
  return text
}

function member(name: string, text: string): string {
  return text === '' ? '' : `,"${name}":${json(cut(text, NAME_CHARACTERS_MAX))}`
}

/** What stands in JSON as it is. */
const PLAIN = /^[ !#-[\]-~]*$/

function json(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text)
}

function cut(text: string, characters: number): string {
  return text.length <= characters ? text : `${text.slice(0, characters - 1)}…`
}
