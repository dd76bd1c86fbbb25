import { RECORD_BYTES_MAX } from './spool-frame.ts'

type Stage = 'RequestReceived' | 'ResponseStarted' | 'ResponseComplete'

/** What is known of a request when a record of it is written. */
export type AuditSubject = {
  readonly auditId: string
  readonly receivedAt: Date
  /** As received. */
  readonly target: string
  readonly verb: string
  readonly user?: AuditUser | undefined
  readonly client: AuditClient
  readonly objectRef?: AuditObject | undefined
  readonly decision: 'allow' | 'deny'
  /** Without the domain: `method`, `upgrade`, ... Empty ones are left out. A stage adds others. */
  readonly annotations: Annotations
  /** More of them, which many records say alike. */
  readonly standing?: Annotations
}

type AuditUser = {
  readonly userName: string
  readonly userId: string
  readonly groups: readonly string[]
}

type AuditObject = {
  readonly resource: string
  readonly subresource: string
  readonly namespace: string
  readonly name: string
  readonly apiGroup: string
  readonly apiVersion: string
}

/** What the requests of a connection have in common, as a rule: then it is the same object in all of them. */
type AuditClient = {
  readonly remoteAddress: string
  readonly userAgent?: string | undefined
  readonly kubectlCommand?: string | undefined
  readonly kubectlSession?: string | undefined
  readonly auditId?: string | undefined
}

export type Annotations = Readonly<Record<string, string | undefined>>

export type AuditStage = {
  readonly stage: Stage
  readonly response?: {
    readonly code: number
    readonly reason?: string
    readonly message?: string | undefined
  }
  readonly annotations?: Annotations
}

const USER_AGENT_CHARACTERS_MAX = 1024
const MESSAGE_CHARACTERS_MAX = 2048
const ANNOTATION_CHARACTERS_MAX = 1024
const GROUPS_MAX = 200
const NAME_CHARACTERS_MAX = 512

/** One audit.k8s.io/v1 Event in JSON, at most RECORD_BYTES_MAX bytes of UTF-8. */
export function auditRecord(subject: AuditSubject, stage: AuditStage, at: Date): string {
  const uri = redactTarget(subject.target)
  const whole = encode(subject, stage, at, uri)
  // A character takes three bytes at most.
  if (3 * whole.length <= RECORD_BYTES_MAX) return whole
  const bytes = Buffer.byteLength(whole)
  if (bytes <= RECORD_BYTES_MAX) return whole
  // Only a request URI can be this long: everything else is bounded above. As kube-apiserver does,
  // say that the record is not whole. A character takes six bytes of JSON at most.
  const others = bytes - Buffer.byteLength(JSON.stringify(uri))
  const room = Math.max(0, Math.floor((RECORD_BYTES_MAX - others - 200) / 6))
  return encode(subject, stage, at, uri.slice(0, room), true)
}

/**
 * The text is put together by hand, from as few pieces as may be: what many records share is one piece of
 * all of them. The decision comes last, for every record has one.
 */
function encode(
  subject: AuditSubject,
  { stage, response, annotations }: AuditStage,
  at: Date,
  requestURI: string,
  isTruncated = false,
): string {
  const { auditId, verb, objectRef, receivedAt, user, client, standing, decision } = subject
  return (
    `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"${auditId}",` +
    `"stage":"${stage}","requestURI":${json(requestURI)},"verb":${json(cut(verb, 64))}` +
    (objectRef === undefined ? '' : `,"objectRef":${objectRefText(objectRef)}`) +
    (response === undefined ? '' : `,"responseStatus":${responseText(response)}`) +
    `,"requestReceivedTimestamp":"${toMicroTime(receivedAt)}","stageTimestamp":"${toMicroTime(at)}"` +
    `,"user":${user === undefined ? '{}' : once(user, userText)}${once(client, clientText)}` +
    (standing === undefined ? '' : once(standing, annotationsText)) +
    annotationsText(subject.annotations) +
    (annotations === undefined ? '' : annotationsText(annotations)) +
    (isTruncated ? '"audit.k8s.io/truncated":"true",' : '') +
    `"postern.dev/decision":"${decision}"}}`
  )
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
  const text = flat(textOf(shared))
  texts.set(shared, text)
  return text
}

/** V8 keeps a text that was put together as its pieces, and would gather them anew for every record. */
function flat(text: string): string {
  return Buffer.from(text).toString()
}

function userText({ userName, userId, groups }: AuditUser): string {
  const names = groups.slice(0, GROUPS_MAX).map((name) => json(cut(name, 64)))
  const name = json(cut(userName, NAME_CHARACTERS_MAX))
  return `{"username":${name},"uid":${json(userId)},"groups":[${names.join(',')}]}`
}

/** From the addresses on to where annotations follow. */
function clientText(client: AuditClient): string {
  const { remoteAddress, userAgent } = client
  const agent = userAgent?.slice(0, USER_AGENT_CHARACTERS_MAX)
  const annotations = {
    'kubectl-command': client.kubectlCommand,
    'kubectl-session': client.kubectlSession,
    'client-audit-id': client.auditId,
  }
  return (
    `,"sourceIPs":${remoteAddress === '' ? '[]' : `[${json(remoteAddress)}]`}` +
    (agent === undefined ? '' : `,"userAgent":${json(agent)}`) +
    `,"annotations":{${annotationsText(annotations)}`
  )
}

function objectRefText(ref: AuditObject): string {
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
function annotationsText(facts: Annotations): string {
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
