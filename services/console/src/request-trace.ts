import { parseTraceparent, startSpan } from '@postern/telemetry'
import type { FastifyInstance, RawServerBase } from 'fastify'
import type { ConsoleSignals } from './signals.ts'

/** Makes each request one step of a trace, whose next steps are the RPCs that answer it; and times it. */
export function traceRequests<Server extends RawServerBase>(
  server: FastifyInstance<Server>,
  signals: ConsoleSignals,
): void {
  const spans = new WeakMap<object, ReturnType<typeof startSpan>>()
  server.addHook('onRequest', (request, _reply, next) => {
    const { method } = request
    const { traceparent } = request.headers
    const span = startSpan('console.request', {
      parent: typeof traceparent === 'string' ? parseTraceparent(traceparent) : undefined,
      kind: 'server',
      attributes: { 'http.request.method': method },
    })
    spans.set(request.raw, span)
    span.run(next)
  })
  server.addHook('onResponse', (request, reply, next) => {
    const span = spans.get(request.raw)?.span
    const route = request.routeOptions.url
    span?.setAttribute('http.response.status_code', reply.statusCode)
    if (route !== undefined) span?.setAttribute('http.route', route)
    span?.end()
    // The pattern of the route, never the path: that holds names.
    const labels = { route: route ?? 'unknown', code: String(reply.statusCode) }
    signals.requestSeconds.observe(labels, reply.elapsedTime / 1000)
    next()
  })
}
