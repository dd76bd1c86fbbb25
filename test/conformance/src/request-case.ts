import { deepStrictEqual, ok } from 'node:assert/strict'
import { parseRequestInfo, type RequestInfo } from '@postern/access'
import type { PosternRecord } from '@postern/bootstrap'
import { outcomeOf, overHttp1, overHttp2, type Reply } from './client.ts'
import type { Arrived } from './recording/api-server.ts'
import { EVERYTHING, type RecordingWorld } from './recording/recording-world.ts'

/** A case that is one request and says what becomes of it. */
export type RequestCase = {
  readonly method: string
  readonly target: string
  /** Who asks may do everything, or everything but read secrets. */
  readonly by: 'operator' | 'denied secrets'
  readonly expected:
    | { readonly kind: 'status'; readonly statuses: readonly number[] }
    /** The attributes in the words of the cases, and the status where it may also be refused. */
    | { readonly kind: 'attributes'; readonly text: string; readonly orStatus?: number }
}

const REQUEST =
  /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (\S+)( \(absolute-form\))?( as a user denied secrets)?$/
const STATUSES = /^(\d{3}(?: or \d{3})*)\b/
const ATTRIBUTES =
  /^(?:nonresource verb=\S* path=\S*|verb="\S*" group="\S*" resource=\S+ ns="\S*" name="\S*")/
const OR_STATUS = /may answer (\d{3})/

/** Undefined for what is told in words. */
export function readRequestCase({
  request,
  expect,
}: {
  readonly request: string
  readonly expect: string
}): RequestCase | undefined {
  const read = REQUEST.exec(request)
  if (read === null) return undefined
  const [, method = '', target = '', , denied] = read
  const by = denied === undefined ? 'operator' : 'denied secrets'
  const text = ATTRIBUTES.exec(expect)?.[0]
  if (text !== undefined) {
    const status = OR_STATUS.exec(expect)?.[1]
    const orStatus = status === undefined ? {} : { orStatus: Number(status) }
    return { method, target, by, expected: { kind: 'attributes', text, ...orStatus } }
  }
  const statuses = STATUSES.exec(expect)?.[1]?.split(' or ').map(Number)
  return statuses && { method, target, by, expected: { kind: 'status', statuses } }
}

/** Sends it over HTTP/1.1 and h2, and looks at the answer, at what arrived, and at the record. */
export async function runRequestCase(world: RecordingWorld, one: RequestCase): Promise<void> {
  const token = one.by === 'operator' ? world.token : await deniedSecrets(world)
  for (const send of [overHttp1, overHttp2]) {
    world.api.reset()
    const { method, target } = one
    const body = method === 'GET' || method === 'HEAD' || method === 'DELETE' ? {} : { body: '{}' }
    const reply = await send(world, { method, target, token, ...body })
    const { expected } = one
    if (expected.kind === 'status') {
      expectStatus(world, reply, expected.statuses, send === overHttp2)
    } else {
      await expectAttributes(world, reply, expected)
    }
  }
}

function expectStatus(
  world: RecordingWorld,
  reply: Reply,
  statuses: readonly number[],
  isHttp2: boolean,
): void {
  // An h2 library may reset what is no path at all.
  const fine = statuses.includes(reply.status) || (isHttp2 && reply.status === 0)
  ok(fine, `expected ${statuses.join(' or ')}, got ${reply.status}: ${reply.text.slice(0, 500)}`)
  if (reply.status >= 200 && reply.status < 300) return
  deepStrictEqual(world.api.arrived.map(shown), [], 'nothing may arrive')
}

async function expectAttributes(
  world: RecordingWorld,
  reply: Reply,
  expected: { readonly text: string; readonly orStatus?: number },
): Promise<void> {
  const [arrived] = world.api.arrived
  if (arrived === undefined) {
    ok(reply.status >= 400, `${reply.status}, and nothing arrived: ${reply.text.slice(0, 500)}`)
    if (reply.status === expected.orStatus) return
  } else {
    deepStrictEqual(inWords(parseRequestInfo(arrived.method, arrived.target)), expected.text)
  }
  deepStrictEqual(recordInWords(await outcomeOf(world, reply.auditId)), expected.text)
}

/** The attributes of a request in the words of the cases. */
function inWords(info: RequestInfo): string {
  if (!info.isResourceRequest) return `nonresource verb=${info.verb} path=${info.path}`
  const { verb, apiGroup, resource, subresource, namespace, name } = info
  return resourceInWords({ verb, apiGroup, resource, subresource, namespace, name })
}

/** The same of what Postern recorded. */
function recordInWords({ verb, objectRef, requestURI }: PosternRecord): string {
  if (objectRef === undefined) return `nonresource verb=${verb} path=${requestURI.split('?')[0]}`
  return resourceInWords({ verb, ...objectRef })
}

function resourceInWords(of: {
  verb: string
  apiGroup?: string
  resource?: string
  subresource?: string
  namespace?: string
  name?: string
}): string {
  const { verb, apiGroup = '', resource = '', subresource = '', namespace = '', name = '' } = of
  const what = subresource === '' ? resource : `${resource}/${subresource}`
  return `verb="${verb}" group="${apiGroup}" resource=${what} ns="${namespace}" name="${name}"`
}

function shown({ method, target }: Arrived): string {
  return `${method} ${target}`
}

/** May read everything in every namespace, but no secret. */
function deniedSecrets(world: RecordingWorld): Promise<string> {
  const rules = [
    { verbs: ['*'], apiGroups: [''], resources: ['pods', 'configmaps', 'namespaces'] },
    ...EVERYTHING.slice(1),
  ]
  return world.user('no-secrets', rules, 'all')
}
