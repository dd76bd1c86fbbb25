import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeIdentityFiles } from '@postern/pki'
import { createTestAuthority } from '@postern/pki/testing'
import { type RunningService, runService } from '@postern/service'
import { createLog } from '@postern/telemetry'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { gatewayService } from '../src/definition.ts'
import { tlsTo } from './testing/gateway-harness.ts'

let dir = ''
let port = 0
let service: RunningService

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-gateway-service-'))
  const authority = await createTestAuthority()
  const material = await authority.material('gateway/gateway-1', { dnsNames: ['gw.test'] })
  await mkdir(join(dir, 'tls'))
  await writeIdentityFiles(join(dir, 'tls'), material)
  await writeFile(join(dir, 'web.crt'), material.cert)
  await writeFile(join(dir, 'web.key'), material.key)
  port = await freePort()
  const nowhere = `127.0.0.1:${await freePort()}`
  const env = {
    POSTERN_TRUST_DOMAIN: authority.trustDomain,
    POSTERN_NATS_URL: inject('natsUrl'),
    POSTERN_IDENTITY_ADDRESS: nowhere,
    POSTERN_POLICY_ADDRESS: nowhere,
    POSTERN_SESSION_ADDRESS: nowhere,
    POSTERN_TUNNEL_BROKER_ADDRESS: nowhere,
    POSTERN_AUDIT_ADDRESS: nowhere,
    POSTERN_GATEWAY_LISTEN: `127.0.0.1:${port}`,
    POSTERN_GATEWAY_DOMAIN: 'gw.test',
    POSTERN_GATEWAY_TLS_DIR: join(dir, 'tls'),
    POSTERN_GATEWAY_TLS_CERT_FILE: join(dir, 'web.crt'),
    POSTERN_GATEWAY_TLS_KEY_FILE: join(dir, 'web.key'),
    POSTERN_GATEWAY_SPOOL_DIR: join(dir, 'spool'),
    POSTERN_GATEWAY_DRAIN_SECONDS: '1',
  }
  const log = createLog({ name: 'gateway', level: 'silent' })
  service = await runService(gatewayService, env, { log })
})
afterAll(async () => {
  await service.stop()
  await rm(dir, { recursive: true, force: true })
})

test('with every other service away it starts, says what it waits for, and lets nobody in', async () => {
  expect(await service.ready()).toMatch(/reading the logs/)
  const socket = await tlsTo(port)
  const answer = new Promise<string>((resolve) => {
    socket.once('data', (chunk: Buffer) => resolve(chunk.toString()))
  })
  const token = `ptk_${'a'.repeat(43)}`
  socket.write(
    `GET /api/v1/pods HTTP/1.1\r\nHost: demo.gw.test\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  )
  expect(await answer).toMatch(/^HTTP\/1\.1 503 /)
  socket.destroy()
})

test('its metrics count what it refused', async () => {
  let text = ''
  for (
    let tries = 0;
    tries < 200 && !text.includes('spool_records{service="gateway"} 1');
    tries += 1
  ) {
    text = await (await fetch(`http://${service.addresses.http}/metrics`)).text()
  }
  expect(text).toMatch(/postern_gateway_requests_total\{.*code="503".*\} 1/)
  expect(text).toMatch(/postern_gateway_spool_records\{.*\} 1/)
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise<void>((resolve) => server.close(() => resolve()))
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return address.port
}
