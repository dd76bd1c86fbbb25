import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type Attributes,
  context,
  INVALID_SPAN_CONTEXT,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import { nextTraceContext, type TraceContext, toTraceparent } from './trace-context.ts'

export type SpanOptions = {
  /** The caller's place in the trace, where it came from outside. Otherwise the current one. */
  readonly parent?: TraceContext | undefined
  readonly kind?: 'internal' | 'server' | 'client'
  readonly attributes?: Attributes
}

// Without an SDK the OpenTelemetry API forgets the context; trace ids must reach logs and audit
// records all the same.
const storage = new AsyncLocalStorage<TraceContext>()

const NO_SPAN = trace.wrapSpanContext(INVALID_SPAN_CONTEXT)

const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
} as const

/** Runs the work as one step of the trace, timed when OpenTelemetry was started. */
export async function withSpan<T>(
  name: string,
  options: SpanOptions,
  work: (span: Span) => Promise<T>,
): Promise<T> {
  const span = startSpan(name, options)
  try {
    return await span.run(() => work(span.span))
  } catch (error) {
    span.span.setStatus({ code: SpanStatusCode.ERROR })
    throw error
  } finally {
    span.span.end()
  }
}

/** A step of the trace that the caller ends: for streams, and for the data path. */
export function startSpan(name: string, options: SpanOptions) {
  const parent = options.parent ?? currentTrace()
  if (!isTracing()) return untraced(parent)
  const parentContext =
    parent === undefined
      ? ROOT_CONTEXT
      : trace.setSpanContext(ROOT_CONTEXT, {
          traceId: parent.traceId,
          spanId: parent.spanId,
          traceFlags: parent.sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
          isRemote: options.parent !== undefined,
        })
  const span = trace
    .getTracer('postern')
    .startSpan(
      name,
      { kind: KINDS[options.kind ?? 'internal'], attributes: options.attributes ?? {} },
      parentContext,
    )
  const place = placeOf(span, parent)
  return {
    span,
    trace: place,
    run: <T>(work: () => T): T =>
      storage.run(place, () => context.with(trace.setSpan(parentContext, span), work)),
  }
}

/** Whether anybody registered a tracer: without one a step has its ids, and nothing else is made. */
function isTracing(): boolean {
  const provider: unknown = trace.getTracerProvider()
  return !isProxy(provider) || provider.getDelegateTracer('postern') !== undefined
}

/** The API answers a proxy of what the SDK registered, or will. */
function isProxy(provider: unknown): provider is { getDelegateTracer(name: string): unknown } {
  return (
    typeof provider === 'object' &&
    provider !== null &&
    typeof Reflect.get(provider, 'getDelegateTracer') === 'function'
  )
}

function untraced(parent: TraceContext | undefined) {
  const place = nextTraceContext(parent)
  return { span: NO_SPAN, trace: place, run: <T>(work: () => T): T => storage.run(place, work) }
}

/** Where in the trace the running code is. */
export function currentTrace(): TraceContext | undefined {
  return storage.getStore()
}

/** The W3C header for the next hop; `undefined` outside every trace. */
export function currentTraceparent(): string | undefined {
  const current = currentTrace()
  return current === undefined ? undefined : toTraceparent(current)
}

function placeOf(span: Span, parent: TraceContext | undefined): TraceContext {
  const { traceId, spanId, traceFlags } = span.spanContext()
  const isReal = isSpanContextValid(span.spanContext()) && spanId !== parent?.spanId
  if (!isReal) return nextTraceContext(parent)
  return { traceId, spanId, sampled: (traceFlags & TraceFlags.SAMPLED) !== 0 }
}
