import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { connectBus } from '@postern/bus'
import { createLog } from '@postern/telemetry'
import { streamOf } from '../platform/environment.ts'
import { LOG_OWNERS, type LogOwner } from '../platform/secrets.ts'
import { ask } from './ask-gateway.ts'
import { withDatabase } from './database.ts'
import { eventually, expectEqual, expectThat } from './expect.ts'
import type { StoryStep } from './story-step.ts'
import type { World } from './world.ts'

/** DESIGN.md section 4: the lease is 2 s, and a request may have begun just before it ended. */
const REFUSED_MS_MAX = 5000

export const serversFailAndComeBack: StoryStep = {
  title:
    'nats-server is killed and wiped: requests go on; PostgreSQL is stopped: a clear 503, never access; both come back',

  async run(world, say) {
    const lead = await world.kubectlOf('lead', 'alpha')
    const { nats, postgres, dir } = world.platform
    await lead.ok(['get', 'pods', '-n', 'default'])

    await nats.stop('SIGKILL')
    rmSync(join(dir, 'nats', 'jetstream'), { recursive: true, force: true })
    for (let attempt = 0; attempt < 10; attempt += 1)
      await lead.ok(['get', 'pods', '-n', 'default'])
    await world.postern.ok(['group', 'create', 'made-without-a-bus'])
    await lead.ok(['create', 'configmap', 'made-without-a-bus', '-n', 'default'])
    say("10 reads, a write and an administrator's command without nats-server")
    await nats.start()
    await eventually('every stream to be filled again', 60_000, async () => {
      const [streams, heads] = await Promise.all([streamEnds(world), logHeads(world)])
      expectEqual(streams, heads, 'the ends of the streams')
    })
    await lead.ok(['get', 'pods', '-n', 'default'])

    await postgres.stop('SIGINT')
    const began = performance.now()
    const refused = await eventually('a refusal', REFUSED_MS_MAX, async () => {
      const answer = await ask(world, 'lead', 'alpha', '/api/v1/namespaces/default/configmaps')
      expectThat(answer.code !== 200, 'no answer of the cluster any more', answer.code)
      return answer
    })
    const refusedMs = Math.round(performance.now() - began)
    expectEqual(refused.code, 503, 'the status')
    expectThat(/try again/i.test(refused.text), 'a reason, and what to do', refused.text)
    say(`PostgreSQL down: 503 after ${refusedMs} ms: ${messageOf(refused.text)}`)
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const { code } = await ask(world, 'lead', 'alpha', '/api/v1/namespaces/default/configmaps')
      expectEqual(code, 503, 'the status while nobody can say what was revoked')
    }

    await postgres.start()
    await eventually('requests to work again', 60_000, () =>
      lead.ok(['get', 'pods', '-n', 'default']),
    )
    const groups = await eventually('the command line to work again', 30_000, () =>
      world.postern.ok(['group', 'list']),
    )
    expectThat(
      groups.includes('made-without-a-bus'),
      'what was done without a bus to be there',
      groups,
    )
    say(`all is back ${Math.round(performance.now() - began)} ms after PostgreSQL was stopped`)
  },
}

const AUDIT_STREAM = 'AUDIT'

/** The last sequence of every stream on the bus, asked for as its owner: nobody else may. */
async function streamEnds(world: World): Promise<Record<string, string>> {
  const ends = LOG_OWNERS.map((owner) => {
    const own = owner === 'audit' ? [AUDIT_STREAM] : []
    return endsAs(world, owner, [streamOf(owner), ...own])
  })
  return Object.fromEntries((await Promise.all(ends)).flat())
}

async function endsAs(
  world: World,
  owner: LogOwner,
  streams: readonly string[],
): Promise<(readonly [stream: string, end: string])[]> {
  const url = world.platform.environmentOf(owner)['POSTERN_NATS_URL'] ?? ''
  const log = createLog({ name: 'story', level: 'silent' })
  const bus = connectBus({ url, name: 'story', log })
  try {
    await eventually('a connection to the bus', 10_000, async () => {
      expectThat(bus.connected, 'the bus to be connected', bus.problem)
    })
    const ends = streams.map(
      async (stream) => [stream, String(await bus.stream(stream).lastSeq())] as const,
    )
    return await Promise.all(ends)
  } finally {
    await bus.close()
  }
}

/** The last position of every log, from its owner's database. */
async function logHeads(world: World): Promise<Record<string, string>> {
  return await withDatabase(world, async (client) => {
    const heads: Record<string, string> = {}
    for (const owner of LOG_OWNERS) {
      const schema = owner.replaceAll('-', '_')
      const { rows } = await client.query<{ pos: string }>(`select pos::text from ${schema}.head`)
      heads[streamOf(owner)] = rows[0]?.pos ?? ''
    }
    const { rows } = await client.query<{ size: string }>('select size::text from audit.log_head')
    heads[AUDIT_STREAM] = rows[0]?.size ?? ''
    return heads
  })
}

function messageOf(status: string): string {
  const { message }: { message?: string } = JSON.parse(status)
  return message ?? ''
}
