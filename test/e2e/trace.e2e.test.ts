import { eventually, type ServiceName } from '@postern/bootstrap'
import { freePort } from '@postern/local-servers'
import { startTelemetry } from '@postern/telemetry'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { CLUSTER, type E2eWorld, startE2eWorld } from './support/e2e-world.ts'
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from './support/otlp-receiver.ts'
import { words } from './support/words.ts'

const SERVICES: readonly ServiceName[] = [
  ...(['identity', 'policy', 'session', 'tunnel-broker', 'audit'] as const),
  ...(['relay', 'gateway', 'console'] as const),
]

let receiver: OtlpReceiver
let world: E2eWorld
let agentHealth: string
let stopTelemetry: (() => Promise<void>) | undefined

beforeAll(async () => {
  receiver = await startOtlpReceiver()
  const telemetry = {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_BSP_SCHEDULE_DELAY: '100',
  }
  for (const [name, value] of Object.entries(telemetry)) vi.stubEnv(name, value)
  stopTelemetry = await startTelemetry(telemetry, 'postern')
  world = await startE2eWorld()

  // As the owner of a cluster does it: the agent's process starts anew with these settings.
  agentHealth = `127.0.0.1:${await freePort()}`
  const { kubectl } = world.cluster(CLUSTER)
  const settings = { ...telemetry, POSTERN_AGENT_HTTP_LISTEN: agentHealth }
  const assigned = Object.entries(settings).map(([name, value]) => `${name}=${value}`)
  await kubectl.ok([...words('set env -n postern-system deployment/postern-agent'), ...assigned])
  await kubectl.ok(words('rollout status -n postern-system deployment/postern-agent --timeout=90s'))
  await eventually('the agent with telemetry', 60_000, async () => {
    const response = await fetch(`http://${agentHealth}/readyz`)
    if (!response.ok) throw new Error(await response.text())
  })
})
afterAll(async () => {
  await world.stop()
  await stopTelemetry?.()
  await receiver.stop()
  vi.unstubAllEnvs()
})

/** The spans of a trace that the caller began, once the wanted ones are there. */
async function traceWith(traceId: string, names: readonly string[]): Promise<ReceivedSpan[]> {
  let trace: ReceivedSpan[] = []
  await eventually(`spans ${names.join(', ')}`, 20_000, async () => {
    trace = receiver.spans.filter((span) => span.traceId === traceId)
    const missing = names.filter((name) => !trace.some((span) => span.name === name))
    if (missing.length > 0) throw new Error(`no ${missing.join(', ')} in ${JSON.stringify(trace)}`)
  })
  return trace
}

function spanOf(trace: readonly ReceivedSpan[], name: string): ReceivedSpan {
  const found = trace.find((span) => span.name === name)
  if (found === undefined) throw new Error(`no span ${name}`)
  return found
}

describe('one request is one trace', () => {
  test('of kubectl: from the gateway, over the tunnel, to the agent', async () => {
    const kubectl = await world.kubectlOf('lead', CLUSTER)
    const before = receiver.spans.length
    await kubectl.ok(words('get pods -n team'))
    await eventually('the spans of kubectl', 20_000, async () => {
      const atAgent = receiver.spans.slice(before).filter(({ name }) => name === 'agent.request')
      if (atAgent.length === 0) throw new Error('nothing from the agent yet')
    })
    const atAgent = receiver.spans.slice(before).filter(({ name }) => name === 'agent.request')
    for (const { traceId, parentSpanId, service } of atAgent) {
      expect(service).toBe('postern-agent')
      const trace = await traceWith(traceId, ['gateway.request', 'agent.request'])
      expect(parentSpanId).toBe(spanOf(trace, 'gateway.request').spanId)
    }
    // Each request of kubectl is a trace of its own.
    expect(new Set(atAgent.map(({ traceId }) => traceId)).size).toBe(atAgent.length)
  })

  test('of the public API: from the console to the service, and on to who it asks', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    const caller = '00f067aa0ba902b7'
    const { secret } = await world.token('lead')
    const headers = { traceparent: `00-${traceId}-${caller}-01` }
    const answer = await world.api(secret, { path: `/v1/clusters/${CLUSTER}`, headers })
    expect(answer.status).toBe(200)
    const rpc = 'postern.tunnelbroker.v1.ClusterService/GetCluster'
    const ask = 'postern.identity.v1.TokenService/AuthenticateToken'
    const trace = await traceWith(traceId, ['console.request', rpc, ask])
    expect(spanOf(trace, 'console.request').parentSpanId).toBe(caller)
    expect(spanOf(trace, rpc).parentSpanId).toBe(spanOf(trace, 'console.request').spanId)
    expect(spanOf(trace, ask).parentSpanId).toBe(spanOf(trace, rpc).spanId)
  })
})

describe('every part answers for itself', () => {
  const parts = [...SERVICES, 'agent'] as const
  test.each(parts)(
    '%s: /livez, /readyz, and /metrics without ids or names of anyone',
    async (name) => {
      const at = name === 'agent' ? agentHealth : world.platform.service(name).addresses.http
      expect((await fetch(`http://${at}/livez`)).status).toBe(200)
      expect((await fetch(`http://${at}/readyz`)).status).toBe(200)
      const response = await fetch(`http://${at}/metrics`)
      expect(response.status).toBe(200)
      const metrics = await response.text()
      const labels = [...metrics.matchAll(/[{,](\w+)="((?:[^"\\]|\\.)*)"/g)]
      expect(labels.length).toBeGreaterThan(0)
      for (const [, label, value] of labels) {
        expect(`${label}=${value}`).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-|[0-9a-f]{16,}|ptk_|:\/\//)
        expect([CLUSTER, 'lead', 'admin', 'team', 'box']).not.toContain(value)
      }
    },
  )
})
