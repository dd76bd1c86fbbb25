import { randomFillSync } from 'node:crypto'

/** Where in a trace one is: https://www.w3.org/TR/trace-context/#traceparent-header */
export type TraceContext = {
  /** 32 hex digits. */
  readonly traceId: string
  /** 16 hex digits. */
  readonly spanId: string
  readonly sampled: boolean
}

/** Version, trace id, span id, flags; ids of zeros and version ff stand for none. Later versions may say more. */
const TRACEPARENT =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?$/
const TRACEPARENT_LENGTH = 55
const TRACEPARENT_LENGTH_MAX = 128
const TRACE_ID_BYTES = 16
const SPAN_ID_BYTES = 8

/** Few enough: an id is a part of the text of all of them, and keeps it. */
const random = Buffer.allocUnsafeSlow(512)
let randomDigits = ''
let randomAt = 0

/** `undefined` for anything that is not a valid traceparent: the trace then starts anew. */
export function parseTraceparent(text: string | undefined): TraceContext | undefined {
  if (text === undefined || text.length > TRACEPARENT_LENGTH_MAX) return undefined
  if (!TRACEPARENT.test(text)) return undefined
  if (text.startsWith('00') && text.length > TRACEPARENT_LENGTH) return undefined
  return {
    traceId: text.slice(3, 35),
    spanId: text.slice(36, 52),
    sampled: (Number.parseInt(text.slice(53, 55), 16) & 1) === 1,
  }
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
  const digits = 2 * bytes
  if (randomAt + digits > randomDigits.length) {
    randomDigits = randomFillSync(random).toString('hex')
    randomAt = 0
  }
  randomAt += digits
  return randomDigits.slice(randomAt - digits, randomAt)
}
