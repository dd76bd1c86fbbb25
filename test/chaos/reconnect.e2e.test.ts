import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, residentMemory } from '@postern/bootstrap'
import { newId } from '@postern/ids'
import type { StaticTlsIdentity } from '@postern/pki'
import { createTestAuthority, type TestAuthority } from '@postern/pki/testing'
import type { Log } from '@postern/telemetry'
import { createSilentLog } from '@postern/telemetry/testing'
import { type ParkedAgent, parkAgent } from '@postern/tunnel'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RelayProcess, startRelayProcess } from './src/world/relay-process.ts'

/** Agents of a cluster share its certificate. */
const CLUSTERS = 100
const AGENTS = 1_000
const STARTED_AT_ONCE = 50
const MIB = 1024 * 1024
/** Run from its sources a relay without agents has 100 MiB; the handshakes of 1,000 leave as much again. */
const RELAY_BYTES_MAX = 400 * MIB
/** Only a net: all the handshakes of 1,000 machines are made on this one. */
const BACK_MS_MAX = 150_000
const WINDOW_MS = 500

let authority: TestAuthority
let dir: string
let relay: RelayProcess | undefined
const agents: ParkedAgent[] = []

const startRelay = async (listen?: string) =>
  await startRelayProcess({
    dir,
    material: await authority.material('relay/r1'),
    trustDomain: authority.trustDomain,
    ...(listen === undefined ? {} : { listen }),
  })

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'ptn-reconnect-'))
  authority = await createTestAuthority()
})
afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.close(0)))
  await relay?.kill()
  rmSync(dir, { recursive: true, force: true })
})

describe('a relay with 1,000 agents is killed, and starts again', () => {
  test('all of them come back, spread over time, and the relay takes a bounded amount of memory', async () => {
    relay = await startRelay()
    const { address } = relay
    /** When each became connected, in the order in which they did. */
    let connectedAt: number[] = []
    const log = connections(() => connectedAt.push(performance.now()))
    const parked = () => agents.filter(({ parkedOn }) => parkedOn.length > 0).length
    const untilAllAreParked = (what: string) =>
      eventually(what, BACK_MS_MAX, async () => expect(parked()).toBe(agents.length))
    const identities = await clusterIdentities()
    while (agents.length < AGENTS) {
      for (let n = 0; n < STARTED_AT_ONCE; n += 1) {
        const identity = identities[agents.length % CLUSTERS]
        if (identity !== undefined) agents.push(agentOf(address, identity, log))
      }
      await untilAllAreParked('agents to park')
    }
    connectedAt = []

    await relay.kill('SIGKILL')
    await eventually('all agents to know it', BACK_MS_MAX, async () => expect(parked()).toBe(0))
    relay = await startRelay(address)
    await untilAllAreParked('all agents to come back')

    expect(connectedAt).toHaveLength(AGENTS)
    const first = Math.min(...connectedAt)
    const windows = new Map<number, number>()
    for (const at of connectedAt) {
      const window = Math.floor((at - first) / WINDOW_MS)
      windows.set(window, (windows.get(window) ?? 0) + 1)
    }
    const most = Math.max(...windows.values())
    expect(most).toBeLessThan(AGENTS / 2)
    expect(residentMemory(relay.pid)).toBeLessThan(RELAY_BYTES_MAX)
  }, 420_000)
})

async function clusterIdentities(): Promise<StaticTlsIdentity[]> {
  const paths = Array.from(
    { length: CLUSTERS },
    () => `agent/${newId('cluster')}/${newId('agent')}`,
  )
  return await Promise.all(paths.map((path) => authority.identity(path)))
}

/** What an agent has of the tunnel; nobody asks for its cluster. */
function agentOf(relayAddress: string, identity: StaticTlsIdentity, log: Log): ParkedAgent {
  return parkAgent({
    relays: () => [relayAddress],
    identity,
    trustDomain: authority.trustDomain,
    log,
    onMux: () => {},
    onUpgrade: () => {},
  })
}

/** A log that only hears that an agent has become connected. */
function connections(onConnected: () => void): Log {
  const silent = createSilentLog()
  const log: Log = {
    ...silent,
    info: (_fields, message) => {
      if (message === 'connected to relay') onConnected()
    },
    child: () => log,
  }
  return log
}
