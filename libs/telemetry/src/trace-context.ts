import { randomFillSync } from 'node:crypto'

/** Where in a trace one is: https://www.w3.org/TR/trace-context/#traceparent-header */
export type TraceContext = {
  /** 32 hex digits. */
  readonly traceId: string
  /** 16 hex digits. */
  readonly spanId: string
  readonly sampled: boolean
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const TRACEPARENT_LENGTH_MAX = 128
const TRACE_ID_BYTES = 16
const SPAN_ID_BYTES = 8

const random = Buffer.allocUnsafeSlow(4096)
let randomAt = random.length

/** `undefined` for anything that is not a valid traceparent: the trace then starts anew. */
export function parseTraceparent(text: string | undefined): TraceContext | undefined {
  if (text === undefined || text.length > TRACEPARENT_LENGTH_MAX) return undefined
  const [, version, traceId, spanId, flags, rest] = TRACEPARENT.exec(text) ?? []
  if (version === undefined || traceId === undefined || spanId === undefined) return undefined
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags ?? '00', 16) & 1) === 1 }
}

export function toTraceparent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`
}

/** The next step of a trace, or the first of a new one. */
export function nextTraceContext(parent: TraceContext | undefined): TraceContext {
  return {
    traceId: parent?.traceId ?? randomHex(TRACE_ID_BYTES),
    spanId: randomHex(SPAN_ID_BYTES),
    sampled: parent?.sampled ?? false,
  }
}

/** Many at once: asking for a few random bytes costs as much as asking for thousands. */
function randomHex(bytes: number): string {
  if (randomAt + bytes > random.length) {
    randomFillSync(random)
    randomAt = 0
  }
  randomAt += bytes
  return random.toString('hex', randomAt - bytes, randomAt)
}
