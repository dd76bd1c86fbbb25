import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { eventually, expectEqual, expectThat } from './expect.ts'
import type { StoryStep } from './story.ts'

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
      for (const name of ['identity', 'policy', 'session', 'tunnel-broker', 'audit'] as const) {
        expectEqual(await world.platform.service(name).ready(), undefined, `${name}'s readiness`)
      }
    })
    await lead.ok(['get', 'pods', '-n', 'default'])

    await postgres.stop('SIGINT')
    const began = performance.now()
    let refusedAfter: number | undefined
    while (refusedAfter === undefined) {
      const { code, stderr } = await lead.run([
        'get',
        'configmaps',
        '-n',
        'default',
        '--request-timeout=3s',
      ])
      const now = performance.now() - began
      if (code !== 0) {
        refusedAfter = now
        expectThat(/unavailable|confirm|try again/i.test(stderr), 'a reason', stderr)
        say(
          `PostgreSQL down: refused after ${Math.round(now)} ms: ${stderr.trim().split('\n').at(-1)}`,
        )
      }
      expectThat(now < REFUSED_MS_MAX + 4000, `a refusal within ${REFUSED_MS_MAX} ms`)
    }
    const later = await lead.run(['get', 'configmaps', '-n', 'default', '--request-timeout=3s'])
    expectThat(later.code !== 0, 'no access while nobody can say what was revoked', later)

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
