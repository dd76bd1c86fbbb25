import { createHealthServer } from '@postern/lifecycle'
import { createMetrics } from '@postern/telemetry'
import { createSilentLog } from '@postern/telemetry/testing'
import { expect, test } from 'vitest'

async function start(ready: Record<string, () => Promise<string | undefined>>) {
  const metrics = createMetrics('test')
  return await createHealthServer({ listen: '127.0.0.1:0', ready, metrics, log: createSilentLog() })
}

test('readiness names every reason, and liveness needs none', async () => {
  const server = await start({
    fine: async () => undefined,
    database: async () => 'PostgreSQL does not answer',
    broken: async () => await Promise.reject(new Error('the password is hunter2')),
    hanging: async () => await new Promise(() => undefined),
  })
  const ready = await fetch(`http://${server.address}/readyz`)
  expect(ready.status).toBe(503)
  const unknown = 'could not be determined'
  expect(await ready.json()).toEqual({
    ready: false,
    reasons: { database: 'PostgreSQL does not answer', broken: unknown, hanging: unknown },
  })
  expect((await fetch(`http://${server.address}/livez`)).status).toBe(200)
  await server.close()
})

test('only GET of three paths is answered', async () => {
  const server = await start({})
  const statusOf = async (path: string, method = 'GET') =>
    (await fetch(`http://${server.address}${path}`, { method })).status
  expect(await statusOf('/readyz?verbose')).toBe(200)
  expect(await statusOf('/metrics')).toBe(200)
  expect(await statusOf('/')).toBe(404)
  expect(await statusOf('/livez', 'POST')).toBe(405)
  await server.close()
})

test('an address in use is named', async () => {
  const server = await start({})
  const { address } = server
  const second = createHealthServer({
    listen: address,
    ready: {},
    metrics: createMetrics('test'),
    log: createSilentLog(),
  })
  await expect(second).rejects.toThrow(`listening on ${address} for health checks`)
  await server.close()
})
