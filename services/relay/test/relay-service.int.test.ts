import type { RegisterRelayRequest } from '@postern/proto/postern/tunnelbroker/v1/cluster'
import type { RpcClients } from '@postern/rpc'
import type { Runtime } from '@postern/service'
import { createMetrics } from '@postern/telemetry'
import { createMemoryLog } from '@postern/telemetry/testing'
import { beforeAll, describe, expect, test } from 'vitest'
import { composeRelay } from '../src/compose.ts'
import { type RelayConfig, relaySettings } from '../src/config.ts'
import { createIdentities, type Identities, TRUST_DOMAIN, until } from './tunnel-fixture.ts'

let identities: Identities
beforeAll(async () => {
  identities = await createIdentities()
})

const config = relaySettings.parse({
  listen: '127.0.0.1:0',
  agentAddress: 'relay.example:443',
  gatewayAddress: 'relay.internal:7443',
  joinAddress: '127.0.0.1:7012',
})

function runtime(
  register: (request: RegisterRelayRequest) => Promise<object>,
  addresses: Runtime<RelayConfig, unknown, never>['addresses'],
) {
  // The relay uses nothing else of what a service is given.
  return {
    config,
    trustDomain: TRUST_DOMAIN,
    identity: identities.relay,
    addresses,
    clients: { of: () => ({ registerRelay: register }), close() {} } as unknown as RpcClients,
    log: createMemoryLog(),
    metrics: createMetrics('relay'),
    now: () => new Date(),
  } as unknown as Runtime<RelayConfig, unknown, never>
}

const addresses = { 'tunnel-broker': '127.0.0.1:7004', session: '127.0.0.1:7003' }

test('a relay registers itself, again and again until tunnel-broker has heard it', async () => {
  const requests: RegisterRelayRequest[] = []
  const relay = await composeRelay(
    runtime(async (request) => {
      requests.push(request)
      if (requests.length === 1) throw new Error('unavailable')
      return {}
    }, addresses),
  )
  await relay.start?.()
  expect(await relay.ready?.()).toMatch(/not registered/)
  await until(async () => (await relay.ready?.()) === undefined)
  expect(requests).toEqual([
    { agentAddress: 'relay.example:443', gatewayAddress: 'relay.internal:7443' },
    { agentAddress: 'relay.example:443', gatewayAddress: 'relay.internal:7443' },
  ])
  await relay.stop?.()
})

describe('settings', () => {
  test('without the address of a service that agents reach through it, a relay does not start', async () => {
    const { session } = addresses
    const composing = composeRelay(runtime(async () => ({}), { session }))
    await expect(composing).rejects.toThrow('POSTERN_TUNNEL_BROKER_ADDRESS must be set')
  })

  test.each(['', 'relay', 'relay:x', 'http://relay:1'])('%j is no address', (listen) => {
    expect(relaySettings.safeParse({ ...config, listen }).success).toBe(false)
  })
})
