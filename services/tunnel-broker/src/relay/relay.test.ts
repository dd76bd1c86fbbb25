import { given } from '@postern/eventing/testing'
import { test } from 'vitest'
import { type RelayEvent, relay } from './relay.ts'

const by = { by: 'relay:r1', now: new Date('2026-01-01T00:00:00Z') }
const here = { relayId: 'r1', agentAddress: 'relay.example:443', gatewayAddress: '10.0.0.1:8443' }
const registered: RelayEvent = { type: 'RelayRegistered', ...here }

test('a relay that registers again where it is changes nothing', () => {
  given(relay, [registered])
    .when({ type: 'RegisterRelay', ...here }, by)
    .emits([])
})

test('a relay that moved is recorded', () => {
  const there = { ...here, agentAddress: 'relay.example:8443' }
  given(relay, [registered])
    .when({ type: 'RegisterRelay', ...there }, by)
    .emits([{ type: 'RelayRegistered', ...there }])
})

test.each(['', 'relay', 'relay:0', 'relay:65536', 'http://relay:443', 'a b:1', '[::1]'])(
  'the address %j is refused',
  (agentAddress) => {
    given(relay, [])
      .when({ type: 'RegisterRelay', ...here, agentAddress }, by)
      .rejects('INVALID_ADDRESS')
  },
)
