import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLog } from './log.ts'
import { createMetrics, histogramIn } from './metrics.ts'
import { currentTrace, currentTraceparent, startSpan, withSpan } from './span.ts'
import { startTelemetry } from './start-telemetry.ts'
import { parseTraceparent, toTraceparent } from './trace-context.ts'

const PARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

test('a log line is JSON with its service, level and time, without what is secret', () => {
  const lines: string[] = []
  const log = createLog({ name: 'policy', stream: { write: (line) => void lines.push(line) } })
  log.debug({}, 'too quiet')
  const user = { name: 'a', token: 'ptk_1' }
  log.child({ rpc: 'x' }).error({ err: new Error('why'), password: 'hunter2', user }, 'it failed')
  expect(lines).toHaveLength(1)
  expect(lines[0]).not.toMatch(/hunter2|ptk_1/)
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    service: 'policy',
    level: 'error',
    rpc: 'x',
    msg: 'it failed',
    err: { message: 'why' },
    time: expect.stringMatching(/^\d{4}-.*Z$/),
  })
})

test('a histogram of the same name is the same', async () => {
  const metrics = createMetrics('policy')
  const settings = { name: 'x_seconds', help: 'x', labelNames: ['rpc'] as const, buckets: [1] }
  const first = histogramIn(metrics, { ...settings, labelNames: ['rpc'] })
  expect(histogramIn(metrics, { ...settings, labelNames: ['rpc'] })).toBe(first)
})

test('a turn of the event loop that took long is told once', async () => {
  const metrics = createMetrics('policy', { ofProcess: true })
  const longest = async () => {
    const lag = /^nodejs_eventloop_lag_max_seconds\{.*\} (.*)$/m.exec(await metrics.metrics())
    return Number(lag?.[1])
  }
  const turns = async () => {
    for (let turn = 0; turn < 10; turn += 1) await setImmediate()
  }
  await turns()
  await longest()
  const busyUntil = performance.now() + 60
  while (performance.now() < busyUntil);
  await turns()
  const busy = await longest()
  expect(busy).toBeGreaterThan(0.05)
  await turns()
  expect(await longest()).not.toBe(busy)
})

test('a traceparent goes through unchanged', () => {
  expect(parseTraceparent(PARENT)).toEqual({
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    spanId: '00f067aa0ba902b7',
    sampled: true,
  })
  const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length - 1}}[1-9a-f]$`))
  fc.assert(
    fc.property(hex(32), hex(16), fc.boolean(), (traceId, spanId, sampled) => {
      const context = { traceId, spanId, sampled }
      expect(parseTraceparent(toTraceparent(context))).toEqual(context)
    }),
  )
})

test.each([
  undefined,
  '',
  'garbage',
  `${PARENT}-more`,
  PARENT.toUpperCase(),
  PARENT.replace('00-4', 'ff-4'),
  `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
  `00-4bf92f3577b34da6a3ce929d0e0e4736-${'0'.repeat(16)}-01`,
  `01${PARENT.slice(2)}-${'x'.repeat(200)}`,
])('%j starts a trace anew', (text) => {
  expect(parseTraceparent(text)).toBeUndefined()
})

test('without OpenTelemetry a trace still reaches everything that runs inside it', async () => {
  expect(currentTraceparent()).toBeUndefined()
  await withSpan('outer', { parent: parseTraceparent(PARENT) }, async () => {
    const outer = currentTrace()
    expect(outer?.traceId).toBe('4bf92f3577b34da6a3ce929d0e0e4736')
    expect(outer?.spanId).not.toBe('00f067aa0ba902b7')
    await Promise.resolve()
    await withSpan('inner', {}, async () => {
      expect(currentTrace()?.traceId).toBe(outer?.traceId)
      expect(currentTrace()?.spanId).not.toBe(outer?.spanId)
    })
  })
  expect(currentTraceparent()).toBeUndefined()
  expect(startSpan('alone', {}).trace.traceId).toMatch(/^[0-9a-f]{32}$/)
})

test('a failure passes through its span', async () => {
  const failing = withSpan('x', {}, async () => await Promise.reject(new Error('why')))
  await expect(failing).rejects.toThrow('why')
})

test.each([
  {},
  { OTEL_EXPORTER_OTLP_ENDPOINT: '' },
  { OTEL_SDK_DISABLED: 'true', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://x' },
])('no telemetry leaves with %j', async (env) => {
  expect(await startTelemetry(env, 'postern')).toBeUndefined()
})
