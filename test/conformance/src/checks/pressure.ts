import { deepStrictEqual, ok } from 'node:assert/strict'
import { annotation } from '@postern/bootstrap'
import type { Check } from '../check.ts'
import { outcomeOf } from '../client.ts'
import { holdBack } from '../pressure/held-back.ts'
import { bytesInKernel } from '../pressure/kernel-queues.ts'
import { type Direction, type Flow, openPlain, openUpgraded } from '../pressure/open-flow.ts'
import type { RecordingWorld } from '../recording/recording-world.ts'

const POD = '/api/v1/namespaces/team/pods/p'
const KIB = 1024
const TRIES_MAX = 5

/** The credit of a stream between agent and gateway (libs/mux). */
const WINDOW_BYTES = 256 * KIB
/** What a socket of agent or relay may have to write before it waits: their high-water mark. */
const HELD_BYTES = 256 * KIB
/** What one read brings, and the high-water mark of all other sockets. */
const READ_BYTES = 64 * KIB
/** In each process: what waits to be written, the read on top of it, and one that TLS has not opened yet. */
const PROCESS_BYTES = 3 * READ_BYTES

/** Of an answer or a body: in agent and gateway, and at both ends, which are the check's own. */
const PLAIN_HELD_BYTES_MAX = WINDOW_BYTES + HELD_BYTES + 4 * PROCESS_BYTES
/** Of a direction of an upgraded stream, which the relay carries without knowing of streams. */
const UPGRADED_HELD_BYTES_MAX = 2 * HELD_BYTES + 5 * PROCESS_BYTES

type Way = {
  readonly id: string
  readonly what: string
  readonly direction: Direction
  readonly heldBytesMax: number
  readonly beginning: Buffer
  readonly open: (world: RecordingWorld) => Promise<Flow>
}

const plain = (target: string, what: string, direction: Direction): Way[] =>
  (['HTTP/1.1', 'HTTP/2'] as const).map((protocol) => ({
    id: 'ST-12',
    what: `${what} over ${protocol}`,
    direction,
    heldBytesMax: PLAIN_HELD_BYTES_MAX,
    beginning: Buffer.alloc(0),
    open: (world) => openPlain(world, { protocol, direction, target }),
  }))

/** Pieces are frames of their protocol: of a WebSocket's binary one, and of stream 1 of SPDY. */
const FRAMES = {
  websocket: Buffer.from([0x82, 126, 0xff, 0xfc]),
  'SPDY/3.1': Buffer.from([0, 0, 0, 1, 0, 0, 0xff, 0xf8]),
} as const

const upgraded = (what: string, direction: Direction): Way[] =>
  (['websocket', 'SPDY/3.1'] as const).map((protocol) => ({
    id: 'UP-12',
    what: `${what} over ${protocol}`,
    direction,
    heldBytesMax: UPGRADED_HELD_BYTES_MAX,
    beginning: FRAMES[protocol],
    open: (world) =>
      openUpgraded(world, { protocol, direction, target: `${POD}/exec?command=cat&stdin=true` }),
  }))

const WAYS: readonly Way[] = [
  ...plain('/api/v1/namespaces/team/pods', 'a list', 'down'),
  ...plain(`${POD}/log?follow=true`, 'a log', 'down'),
  ...plain(`${POD}/proxy/upload`, 'an upload', 'up'),
  ...upgraded('what a command says', 'down'),
  ...upgraded('what a command is told', 'up'),
]

/** What nobody reads stays where it comes from: all that Postern holds of it is bounded. */
export const pressureChecks: readonly Check[] = WAYS.map((way) => ({
  id: way.id,
  title: `${way.what}: who does not read holds back who writes (at most ${way.heldBytesMax / KIB} KiB are held on the way), and has every byte in the end`,
  async run(worlds) {
    const world = await worlds.recording()
    for (let tries = 1; ; tries += 1) {
      world.api.reset()
      try {
        await tryWay(world, way)
        return
      } catch (error) {
        if (tries === TRIES_MAX || !(await lostItsLease(world))) throw error
      }
    }
  },
}))

async function tryWay(world: RecordingWorld, way: Way): Promise<void> {
  const { gatewayPort, api, e2e } = world
  const ports = [gatewayPort, e2e.platform.ports.relay, portOf(api.address)]
  const flow = await way.open(world)
  try {
    const { heldBytes, hadToWait, bytes, isSame } = await holdBack(flow, {
      beginning: way.beginning,
      inKernel: () => bytesInKernel(ports),
    })
    ok(hadToWait, `${bytes} bytes were taken while nobody read`)
    ok(heldBytes <= way.heldBytesMax, `${heldBytes} bytes are held of ${bytes}`)
    ok(isSame, `what came (${bytes} bytes) is not what was sent`)
    if (way.direction === 'down') await expectWholeOutcome(world, bytes)
  } finally {
    flow.close()
  }
}

/** A gateway on a machine so busy that it loses its lease refuses, and cuts what runs: that says nothing of pressure. */
async function lostItsLease(world: RecordingWorld): Promise<boolean> {
  const [arrived] = world.api.arrived
  if (arrived === undefined) return true
  return annotation(await outcomeOf(world, arrived.auditId), 'cut-code') === '503'
}

async function expectWholeOutcome(world: RecordingWorld, bytes: number): Promise<void> {
  const { annotations } = await outcomeOf(world, world.api.arrived[0]?.auditId ?? '')
  const { 'postern.dev/bytes': counted, 'postern.dev/end': end } = annotations
  deepStrictEqual({ counted, end }, { counted: String(bytes), end: 'complete' })
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}
