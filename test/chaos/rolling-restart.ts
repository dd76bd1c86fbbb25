import { type BackgroundKubectl, eventually } from '@postern/bootstrap'
import { CLUSTER } from '@postern/e2e/support'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Client, ClientOptions, Order } from './src/clients/client.ts'
import { createHttp1Client } from './src/clients/http1-client.ts'
import { createHttp2Client } from './src/clients/http2-client.ts'
import { type ExecProtocol, openKubectlExec } from './src/clients/kubectl-streams.ts'
import { type Asker, failedOf, type Load, startLoad } from './src/clients/load.ts'
import { type Reflector, startReflector } from './src/clients/reflector.ts'
import { type Balancer, startBalancer } from './src/world/balancer.ts'
import { type ChaosWorld, PODS } from './src/world/chaos-world.ts'
import { DRAIN } from './src/world/drain.ts'
import type { Stopped } from './src/world/stopped.ts'

const CONFIG_MAPS = '/api/v1/namespaces/team/configmaps'
const JSON_TYPE = { 'content-type': 'application/json' }
/** Those that kubectl uses, and that older ones do. */
const EXECS: readonly ExecProtocol[] = ['websocket', 'websocket', 'spdy', 'spdy']
const AGENTS = 2
const WATCHES = 4
const SETTLED_MS_MAX = 120_000
/** What stops has told its streams by then, and is gone: the stated time, and what closing takes a busy machine. */
const STOPPED_MS_MAX = (DRAIN.noticeSeconds + DRAIN.seconds + 30) * 1000
const TOLD = /^error: (?:error executing remote command: )?Postern ended this stream: /m

/** Everything is replaced, one part after the other, while users work. */
export function rollingRestart(world: () => ChaosWorld): void {
  describe('a rolling restart of two gateways, two relays and two agents', () => {
    let balancer: Balancer
    let token = ''
    let load: Load
    let reflectors: readonly Reflector[]
    const opened: BackgroundKubectl[] = []

    beforeAll(async () => {
      token = (await world().token('lead')).secret
      balancer = await startBalancer(world().gateways.map((gateway) => gateway.target))
      await eventually('the balancer to know both', SETTLED_MS_MAX, async () => {
        expect(balancer.ready).toBe(2)
      })
      reflectors = await Promise.all(
        Array.from({ length: 2 * WATCHES }, (_, n) =>
          startReflector(n % 2 === 0 ? http1() : http2(), CONFIG_MAPS),
        ),
      )
      load = startLoad([
        ...[http1(), http1(), http2(), http2()].map((client, n) => reader(`reader ${n}`, client)),
        writer('writer-1', http2()),
        // kubectl makes a connection for each command.
        writer('writer-2', createHttp1Client(target(), { keepAlive: false })),
      ])
    })
    afterAll(async () => {
      for (const reflector of reflectors) reflector.stop()
      for (const exec of opened) await exec.kill()
      await balancer.close()
    })

    const balancerUrl = () => `https://127.0.0.1:${balancer.port}`
    const target = (gatewayUrl = balancerUrl()): ClientOptions => ({
      url: `${gatewayUrl}/clusters/${CLUSTER}`,
      ca: world().ca,
      token,
    })
    const http1 = () => createHttp1Client(target(), { keepAlive: true })
    const http2 = () => createHttp2Client(target())
    const execs = async (gatewayUrl = balancerUrl()): Promise<BackgroundKubectl[]> => {
      const open = (protocol: ExecProtocol) =>
        eventually('an exec to open', SETTLED_MS_MAX, () =>
          openKubectlExec(world(), target(gatewayUrl), protocol),
        )
      const streams = await Promise.all(EXECS.map(open))
      opened.push(...streams)
      return streams
    }
    /** All of them ended, and each kubectl failed with what it was told. */
    const expectTold = async (streams: readonly BackgroundKubectl[]) => {
      for (const { ended } of streams) {
        const { code, stderr } = await ended
        expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(TOLD) })
      }
    }
    const expectStopped = ({ code, ms, output }: Stopped) => {
      expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' })
      expect(ms).toBeLessThan(STOPPED_MS_MAX)
    }

    test('gateways: within the stated time each is gone, having told its streams why', async () => {
      for (const gateway of world().gateways) {
        const streams = await execs(gateway.current().url)
        expectStopped(await gateway.terminate())
        await expectTold(streams)
        await gateway.start()
        await eventually('the balancer to know it', SETTLED_MS_MAX, async () => {
          expect(balancer.ready).toBe(2)
        })
      }
    })

    test('relays: within the stated time each is gone, and what went through it was told why', async () => {
      const streams = await execs()
      for (const relay of world().relays) {
        expectStopped(await relay.terminate())
        await relay.start()
        await eventually('the agents to be back', SETTLED_MS_MAX, async () => {
          expect(await relay.current().parkedAgents()).toBe(AGENTS)
        })
      }
      await expectTold(streams)
    })

    test('agents: within the stated time each is gone, and what went through it was told why', async () => {
      const streams = await execs()
      for (let n = 0; n < AGENTS; n += 1) {
        await world().agents.add()
        expectStopped(await world().agents.terminateOldest())
      }
      await expectTold(streams)
    })

    test('no request failed that its client would not have repeated by itself', async () => {
      const asked = await load.stop()
      expect(failedOf(asked)).toEqual([])
      expect(new Set(asked.map(({ by }) => by)).size).toBe(6)
    })

    test('no watch was cut that its reflector did not resume without a list, and none missed anything', async () => {
      const client = http2()
      const truth = await startReflector(client, CONFIG_MAPS)
      truth.stop()
      for (const reflector of reflectors) {
        await eventually('a reflector to have seen everything', SETTLED_MS_MAX, async () => {
          expect(Object.fromEntries(reflector.store)).toEqual(Object.fromEntries(truth.store))
        })
        expect(reflector.relists).toEqual([])
      }
      // They were not just left alone.
      for (const { resumed } of reflectors) expect(resumed).toBeGreaterThan(0)
    })
  })
}

function reader(name: string, client: Client): Asker {
  return { name, client, order: () => ({ path: PODS }), pauseMs: 150 }
}

/** Makes, changes and removes objects, which the watches see. */
function writer(name: string, client: Client): Asker {
  const order = (n: number): Order => {
    const object = `${name}-${Math.floor(n / 3)}`
    const path = `${CONFIG_MAPS}/${object}`
    switch (n % 3) {
      case 0: {
        const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: object } }
        return { method: 'POST', path: CONFIG_MAPS, headers: JSON_TYPE, body: JSON.stringify(body) }
      }
      case 1:
        return {
          method: 'PATCH',
          path,
          headers: { 'content-type': 'application/merge-patch+json' },
          body: JSON.stringify({ data: { n: String(n) } }),
        }
      default:
        return { method: 'DELETE', path }
    }
  }
  return { name, client, order, pauseMs: 300 }
}
