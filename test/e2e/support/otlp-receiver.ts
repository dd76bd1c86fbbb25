import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** A span as it came over OTLP: https://opentelemetry.io/docs/specs/otlp/#otlphttp */
export type ReceivedSpan = {
  /** The part of Postern that sent it. */
  readonly service: string
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
}

export type OtlpReceiver = {
  readonly url: string
  readonly spans: readonly ReceivedSpan[]
  stop(): Promise<void>
}

type Attribute = { key: string; value: { stringValue?: string } }
type Sent = {
  resourceSpans?: {
    resource: { attributes: Attribute[] }
    scopeSpans: {
      spans: (Omit<ReceivedSpan, 'service' | 'parentSpanId'> & { parentSpanId?: string })[]
    }[]
  }[]
}

/** Takes traces as OTLP in JSON; anything else that is sent is accepted and forgotten. */
export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = []
  const server = createServer((request, response) => {
    text(request).then(
      (body) => {
        if (request.url === '/v1/traces') spans.push(...spansOf(JSON.parse(body)))
        response.setHeader('content-type', 'application/json').end('{}')
      },
      () => response.destroy(),
    )
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it listens on TCP
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    async stop() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

function spansOf({ resourceSpans = [] }: Sent): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const named = resource.attributes.find(({ key }) => key === 'service.name')
    const service = named?.value.stringValue ?? ''
    return scopeSpans.flatMap(({ spans }) =>
      spans.map(({ name, traceId, spanId, parentSpanId = '' }) => ({
        service,
        name,
        traceId,
        spanId,
        parentSpanId,
      })),
    )
  })
}
