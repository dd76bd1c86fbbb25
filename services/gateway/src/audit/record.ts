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
    readonly name: string
    readonly id: string
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
  /** Without the domain: `cluster`, `decision`, ... Empty ones are left out. */
  readonly annotations: Readonly<Record<string, string | undefined>>
}

export type AuditStage = {
  readonly stage: Stage
  readonly at: Date
  readonly response?: { readonly code: number; readonly reason?: string; readonly message?: string }
  readonly annotations?: Readonly<Record<string, string | undefined>>
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
  return encode(subject, stage, uri.slice(0, room), { 'audit.k8s.io/truncated': 'true' })
}

function encode(
  subject: AuditSubject,
  { stage, at, response, annotations }: AuditStage,
  requestURI: string,
  marks: Readonly<Record<string, string>> = {},
): Buffer {
  const { user, objectRef } = subject
  const event = {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Metadata',
    auditID: subject.auditId,
    stage,
    requestURI,
    verb: cut(subject.verb, 64),
    user:
      user === undefined
        ? {}
        : {
            username: cut(user.name, NAME_CHARACTERS_MAX),
            uid: user.id,
            groups: user.groups.slice(0, GROUPS_MAX).map((name) => cut(name, 64)),
          },
    sourceIPs: subject.remoteAddress === '' ? [] : [subject.remoteAddress],
    userAgent: subject.userAgent?.slice(0, USER_AGENT_CHARACTERS_MAX),
    objectRef: objectRef === undefined ? undefined : toObjectRef(objectRef),
    responseStatus: response === undefined ? undefined : toResponseStatus(response),
    requestReceivedTimestamp: toMicroTime(subject.receivedAt),
    stageTimestamp: toMicroTime(at),
    annotations: { ...toAnnotations({ ...subject.annotations, ...annotations }), ...marks },
  }
  return Buffer.from(JSON.stringify(event))
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

/** metav1.MicroTime: RFC 3339 with exactly six digits of a second. */
function toMicroTime(at: Date): string {
  return at.toISOString().replace('Z', '000Z')
}

function toObjectRef(ref: NonNullable<AuditSubject['objectRef']>) {
  return {
    resource: cut(ref.resource, NAME_CHARACTERS_MAX),
    namespace: orNothing(ref.namespace),
    name: orNothing(ref.name),
    apiGroup: orNothing(ref.apiGroup),
    apiVersion: orNothing(ref.apiVersion),
    subresource: orNothing(ref.subresource),
  }
}

function toResponseStatus({ code, reason, message }: NonNullable<AuditStage['response']>) {
  return {
    metadata: {},
    status: code >= 400 ? 'Failure' : undefined,
    message: message === undefined ? undefined : cut(message, MESSAGE_CHARACTERS_MAX),
    reason,
    code,
  }
}

function toAnnotations(facts: AuditSubject['annotations']): Record<string, string> {
  const annotations: Record<string, string> = {}
  for (const [name, value] of Object.entries(facts)) {
    if (value === undefined || value === '') continue
    annotations[`postern.dev/${name}`] = cut(value, ANNOTATION_CHARACTERS_MAX)
  }
  return annotations
}

function orNothing(text: string): string | undefined {
  return text === '' ? undefined : cut(text, NAME_CHARACTERS_MAX)
}

function cut(text: string, characters: number): string {
  return text.length <= characters ? text : `${text.slice(0, characters - 1)}…`
}
