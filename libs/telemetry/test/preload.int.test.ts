import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'

const PRELOAD = new URL('../src/preload.ts', import.meta.url).href
/** Says at the end whether OpenTelemetry's SDK was loaded. */
const WATCH = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module'
  let isLoaded = false
  registerHooks({
    load(url, context, next) {
      isLoaded ||= url.includes('/@opentelemetry/sdk-')
      return next(url, context)
    },
  })
  process.on('exit', () => process.stdout.write(isLoaded ? 'loaded' : 'not loaded'))
`)}`
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
    WATCH,
    '--import',
    PRELOAD,
    '--input-type=module',
    '-e',
    SCRIPT,
  ]
  const child = spawn(process.execPath, options, {
    env: env(port),
    cwd: new URL('..', import.meta.url).pathname,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const said = text(child.stdout)
  const [code]: unknown[] = await once(child, 'exit')
  collector.closeAllConnections()
  collector.close()
  return { code, received, sdk: await said }
}

test('spans go where the owner of the installation says', async () => {
  const endpoint = (port: number) => `http://127.0.0.1:${port}`
  const sent = await runWithCollector((port) => ({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint(port) }))
  expect(sent.code).toBe(0)
  expect(sent.received).toContain('/v1/traces')
  expect(sent.sdk).toBe('loaded')
})

test('nothing leaves, and the SDK is not even loaded, when nothing was configured', async () => {
  const sent = await runWithCollector(() => ({}))
  expect(sent).toEqual({ code: 0, received: [], sdk: 'not loaded' })
})
