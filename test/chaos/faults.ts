import { setTimeout as wait } from 'node:timers/promises'
import { eventually } from '@postern/bootstrap'
import { CLUSTER, freeze, messageOf, openExec, type TcpProxy } from '@postern/e2e/support'
import { beforeAll, describe, expect, test } from 'vitest'
import type { ClientOptions } from './src/clients/client.ts'
import { createHttp1Client } from './src/clients/http1-client.ts'
import { createHttp2Client } from './src/clients/http2-client.ts'
import { openKubectlLogs } from './src/clients/kubectl-streams.ts'
import { type Asked, failedOf, type Load, startLoad } from './src/clients/load.ts'
import { type ChaosWorld, PODS } from './src/world/chaos-world.ts'
import type { RestartableRelay } from './src/world/restartable-relay.ts'

/** Of the design: how soon somebody is told that a cluster is offline. */
const OFFLINE_MS_MAX = 2_000
/** Of the design: how long something that has gone silent may still be used. */
const SILENT_MS_MAX = 10_000
const BACK_MS_MAX = 60_000
/** Of a tunnel that works; for a busy machine. */
const ANSWER_MS_MAX = 5_000

type Readings = Load & { readonly count: number }

/**
 * What failed although its answer had not begun to arrive when something was struck. What had begun breaks,
 * and no client repeats it: to end it clean would make half an answer a whole one.
 */
const failedUnbegun = (asked: readonly Asked[], ...struckAt: readonly number[]) =>
  failedOf(asked).filter(
    ({ status, sentAt, ms }) =>
      status !== 'broken' || !struckAt.some((at) => sentAt < at && at < sentAt + ms),
  )

/** What breaks between gateways, relays and agents, and what users see of it. */
export function faults(world: () => ChaosWorld): void {
  describe('faults of the network', () => {
    let token = ''
    beforeAll(async () => {
      token = (await world().token('lead')).secret
    })

    const wires = (): TcpProxy[] =>
      world().relays.flatMap(({ agentWire, gatewayWire }) => [agentWire, gatewayWire])
    const gateway = () => world().gateways[0].current()
    const target = (): ClientOptions => ({
      url: `${gateway().url}/clusters/${CLUSTER}`,
      ca: world().ca,
      token,
    })
    const get = async () => {
      const sentAt = performance.now()
      const answer = await gateway().ask(token, { path: PODS })
      return { ...answer, sentAt, ms: performance.now() - sentAt }
    }
    const untilServed = () =>
      eventually('the cluster to be served', BACK_MS_MAX, async () => {
        const { status, text } = await get()
        if (status !== 200) throw new Error(text)
      })
    const readers = (count: number): Readings => ({
      count,
      ...startLoad(
        Array.from({ length: count }, (_, n) => ({
          name: `reader ${n}`,
          client:
            n % 2 === 0
              ? createHttp1Client(target(), { keepAlive: true })
              : createHttp2Client(target()),
          order: () => ({ path: PODS }),
          pauseMs: 20,
        })),
      ),
    })
    const untilServedSince = (since: number, { asked, count }: Readings) =>
      eventually('every reader to be served', BACK_MS_MAX, async () => {
        const served = asked.filter(({ sentAt, status }) => sentAt > since && status === 200)
        expect(new Set(served.map(({ by }) => by)).size).toBe(count)
      })
    /** The relay through which the gateway's tunnel goes. */
    const carrier = async (): Promise<RestartableRelay> => {
      await untilServed()
      const before = world().relays.map(({ gatewayWire }) => gatewayWire.bytes)
      for (let n = 0; n < 10; n += 1) await get()
      const [first, second] = world().relays
      const [one = 0, two = 0] = world().relays.map(
        ({ gatewayWire }, n) => gatewayWire.bytes - (before[n] ?? 0),
      )
      return one > two ? first : second
    }

    test('latency and jitter cost time and nothing else: what is slow is not taken for dead', async () => {
      await untilServed()
      for (const wire of wires()) wire.delay({ latencyMs: 60, jitterMs: 40 })
      const readings = readers(4)
      try {
        const exec = await openExec(world(), token, { gatewayUrl: gateway().url })
        let execEnded = false
        void exec.ended.then(() => {
          execEnded = true
        })
        // As long as it takes to notice that something is silent.
        await wait(SILENT_MS_MAX)
        expect(execEnded).toBe(false)
        exec.close()
      } finally {
        for (const wire of wires()) wire.delay({ latencyMs: 0, jitterMs: 0 })
      }
      const asked = await readings.stop()
      expect(failedOf(asked)).toEqual([])
      expect(asked.filter(({ repeated }) => repeated.length > 0)).toEqual([])
    })

    test('connections that are lost, all at once and again and again, end no read that nothing has come of yet', async () => {
      await untilServed()
      const readings = readers(6)
      const cutAt: number[] = []
      for (let n = 1; n <= 3; n += 1) {
        cutAt.push(performance.now())
        for (const wire of wires()) wire.cut()
        await untilServedSince(performance.now(), readings)
      }
      expect(failedUnbegun(await readings.stop(), ...cutAt)).toEqual([])
    })

    test('a relay is killed: a read costs at most one repetition', async () => {
      const relay = await carrier()
      const readings = readers(6)
      await untilServedSince(performance.now(), readings)
      const killedAt = performance.now()
      await relay.current().kill('SIGKILL')
      await untilServedSince(performance.now(), readings)
      const asked = await readings.stop()
      await relay.start()
      expect(failedUnbegun(asked, killedAt)).toEqual([])
      expect(asked.filter(({ repeated }) => repeated.length > 1)).toEqual([])
    })

    /** kubectl logs -f over both protocols while something is lost, and how each ended. */
    const logsWhile = async (lose: () => Promise<void>) => {
      const running = [
        await openKubectlLogs(world(), target(), 'HTTP/1.1'),
        await openKubectlLogs(world(), target(), 'HTTP/2'),
      ]
      try {
        await lose()
        return await Promise.all(running.map(({ ended }) => ended))
      } finally {
        await Promise.all(running.map((one) => one.kill()))
      }
    }
    const expectBroken = (logs: Awaited<ReturnType<typeof logsWhile>>) => {
      const [http1, http2] = logs
      expect(http1).toMatchObject({ code: 1, stderr: expect.stringContaining('unexpected EOF') })
      expect(http2).toMatchObject({ code: 1, stderr: expect.stringContaining('INTERNAL_ERROR') })
    }

    test('a relay is killed: a log that was followed through it breaks, and never looks complete', async () => {
      const relay = await carrier()
      expectBroken(await logsWhile(() => relay.current().kill('SIGKILL')))
      await relay.start()
    })

    test.each([
      {
        name: 'a relay that has become a black hole',
        strike: (relay: RestartableRelay) => {
          for (const wire of [relay.agentWire, relay.gatewayWire]) wire.freeze()
        },
      },
      {
        name: 'a tunnel whose other end has gone without a word',
        strike: (relay: RestartableRelay) => relay.gatewayWire.halfOpen(),
      },
    ])('$name leaves rotation within 10 s', async ({ strike }) => {
      const relay = await carrier()
      const readings = readers(2)
      await untilServedSince(performance.now(), readings)
      const struckAt = performance.now()
      strike(relay)
      await untilServedSince(struckAt + SILENT_MS_MAX, readings)
      const asked = await readings.stop()
      for (const wire of [relay.agentWire, relay.gatewayWire]) wire.thaw()

      expect(failedUnbegun(asked, struckAt)).toEqual([])
      const later = asked.filter(({ sentAt }) => sentAt > struckAt + SILENT_MS_MAX)
      expect(later.filter(({ repeated }) => repeated.length > 0)).toEqual([])
      for (const { ms } of later) expect(ms).toBeLessThan(ANSWER_MS_MAX)
    })

    const expectOffline = async (wanted: RegExp) => {
      for (let n = 0; n < 5; n += 1) {
        const answer = await get()
        expect(answer.ms).toBeLessThan(OFFLINE_MS_MAX)
        expect(answer.status).toBe(503)
        expect(messageOf(answer)).toMatch(/cluster "alpha" cannot be reached/)
        expect(messageOf(answer)).toMatch(wanted)
        expect(messageOf(answer)).toMatch(/Nothing was sent to it/)
        expect(answer.headers['retry-after']).toBe('1')
      }
    }

    test('no relay can be reached: within 2 s everybody is told so', async () => {
      await untilServed()
      await Promise.all(world().relays.map((relay) => relay.current().kill('SIGKILL')))
      try {
        await expectOffline(/no relay can be reached/)
      } finally {
        await Promise.all(world().relays.map((relay) => relay.start()))
      }
    })

    test('agents go silent: within 10 s they are out of rotation, and from then on everybody is told within 2 s', async () => {
      await untilServed()
      const thaws = world()
        .agents.running()
        .map(({ pid }) => freeze(pid))
      const frozenAt = performance.now()
      try {
        // Sent into the tunnel that is silent, and not known to be.
        const first = await get()
        expect(first.sentAt + first.ms - frozenAt).toBeLessThan(SILENT_MS_MAX + OFFLINE_MS_MAX)
        expect(first.status).toBe(503)
        expect(messageOf(first)).toMatch(/The request only reads: try again/)
        await expectOffline(/no agent|not open in time/)
      } finally {
        for (const thaw of thaws) thaw()
      }
      await untilServed()
    })

    test('the agents are killed: logs that were followed break, and within 2 s everybody is told that there is none', async () => {
      await untilServed()
      expectBroken(await logsWhile(() => world().agents.stop()))
      // Sent into a tunnel whose end has not arrived yet, at most.
      const first = await get()
      expect(first.ms).toBeLessThan(OFFLINE_MS_MAX)
      expect(first.status).toBe(503)
      await expectOffline(/agent/)
    })
  })
}
