import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'

const PRELOAD = new URL('../src/preload.ts', import.meta.url).href
const SCRIPT = `
  import { flushTelemetry, withSpan } from '@postern/telemetry'
  await withSpan('a step', {}, async () => {})
  await flushTelemetry()
`

async function runWithCollector(env: (port: number) => Record<string, string>) {
  const received: string[] = []
  const collector = createServer((request, response) => {
    received.push(request.url ?? '')
    request.resume().on('end', () => response.end())
  })
  await once(collector.listen(0, '127.0.0.1'), 'listening')
  const { port } = collector.address() as AddressInfo
  const options = [
    '--conditions=@postern/source',
    '--import',
    PRELOAD,
    '--input-type=module',
    '-e',
    SCRIPT,
  ]
  const child = spawn(process.execPath, options, {
    env: env(port),
    cwd: new URL('..', import.meta.url).pathname,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const [code]: unknown[] = await once(child, 'exit')
  collector.closeAllConnections()
  collector.close()
  return { code, received }
}

test('spans go where the owner of the installation says', async () => {
  const endpoint = (port: number) => `http://127.0.0.1:${port}`
  const sent = await runWithCollector((port) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint(port) }))
  expect(sent.code).toBe(0)
  expect(sent.received).toContain('/v1/traces')
})

test('nothing leaves when nothing was configured', async () => {
  const sent = await runWithCollector(() => ({}))
  expect(sent).toEqual({ code: 0, received: [] })
})
