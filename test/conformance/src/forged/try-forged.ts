import { deepStrictEqual, ok } from 'node:assert/strict'
import { eventually } from '@postern/bootstrap'
import { recordsWhere, sendRaw } from '@postern/e2e/support'
import fc from 'fast-check'
import { sendRawHttp2 } from '../raw-http2.ts'
import type { Arrived } from '../recording/api-server.ts'
import { OPERATOR, type RecordingWorld } from '../recording/recording-world.ts'
import { type ForgedRequest, forgedRequest, SMUGGLED } from './forged-requests.ts'

const WORKERS = 12
const ANSWER_MS_MAX = 2_000
const QUIET_MS = 100
const RECORDS_MS_MAX = 120_000
const SHOWN_MAX = 5
/** What says to kube-apiserver, or to a hop before it, who is asking. */
const IDENTITY =
  /^(?:impersonate-|x-remote-|x-forwarded-(?:user|client)|proxy-authorization$|cookie$)/

/** Sends so many of them, and looks at everything that arrived. */
export async function tryForged(
  world: RecordingWorld,
  { count, seed }: { readonly count: number; readonly seed: number },
): Promise<void> {
  const made = fc.sample(forgedRequest, { seed, numRuns: count })
  const { token, host } = world
  const requests = made.map((make, number) => make({ number, token, host }))
  const queue = requests.values()
  const worker = async () => {
    for (const request of queue) await send(world, request)
  }
  await Promise.all(Array.from({ length: WORKERS }, worker))

  const { arrived, malformed } = world.api
  const said = (problem: string, one: Arrived) => {
    const sent = requests[numberIn(one.target)]
    return { problem, sent, arrived: { ...one, body: one.body?.toString() } }
  }
  const wrong = arrived.flatMap((one) =>
    problemsOf(world, one).map((problem) => said(problem, one)),
  )
  deepStrictEqual({ seed, wrong: wrong.slice(0, SHOWN_MAX) }, { seed, wrong: [] })
  deepStrictEqual({ seed, malformed: malformed.slice(0, SHOWN_MAX) }, { seed, malformed: [] })
  await everyOneAuthorized(world, arrived)
  // That some pass shows that the others were refused for what they claimed.
  ok(arrived.length > count / 50, `only ${arrived.length} of ${count} arrived: nothing was tried`)
  ok(arrived.length < count / 2, `${arrived.length} of ${count} arrived`)
}

async function send({ gatewayPort: port, e2e }: RecordingWorld, request: ForgedRequest) {
  const { ca } = e2e
  if (request.over === 'h2') {
    await sendRawHttp2({ port, ca, ...request })
    return
  }
  const bytes = Buffer.from(request.bytes, 'latin1')
  await sendRaw({ port, ca, bytes, msMax: ANSWER_MS_MAX, quietMs: QUIET_MS })
}

function numberIn(target: string): number {
  return Number(/[?&]n=(\d+)/.exec(target)?.[1] ?? -1)
}

function problemsOf(
  world: RecordingWorld,
  { account, headers, target, trailers }: Arrived,
): string[] {
  const names = headers.map(([name]) => name.toLowerCase().replaceAll('_', '-'))
  const count = (wanted: string) => names.filter((name) => name === wanted).length
  const text = JSON.stringify([headers, target])
  return [
    account === world.account ? '' : `it came as ${account}, not as ${world.account}`,
    names.some((name) => IDENTITY.test(name)) ? 'it claims an identity' : '',
    count('authorization') === 1 ? '' : 'not exactly one Authorization',
    count('audit-id') === 1 ? '' : 'not exactly one Audit-ID',
    count('host') === 1 ? '' : 'not exactly one Host',
    trailers === undefined || trailers.length === 0 ? '' : 'it has trailers',
    target.includes(SMUGGLED) ? 'it was never authorized' : '',
    text.includes(world.token) ? "it carries the user's own token" : '',
    /system:masters|of-the-agent-itself|ptr-root/.test(text) ? 'it carries what was claimed' : '',
  ].filter((problem) => problem !== '')
}

/** Each has a record of Postern's that allows just that, under its Audit-ID. */
async function everyOneAuthorized({ e2e }: RecordingWorld, arrived: readonly Arrived[]) {
  await eventually('every request to be recorded as allowed', RECORDS_MS_MAX, async () => {
    const records = await recordsWhere(e2e, `user=${OPERATOR}&decision=allow&cluster=recorded`)
    const allowed = new Map(
      records.map(({ auditID, requestURI }) => [auditID, numberIn(requestURI)] as const),
    )
    const unknown = arrived.filter((one) => allowed.get(one.auditId) !== numberIn(one.target))
    deepStrictEqual(unknown.slice(0, SHOWN_MAX), [])
  })
}
