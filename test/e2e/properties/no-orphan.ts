import { setTimeout as wait } from 'node:timers/promises'
import { eventually } from '@postern/bootstrap'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runs } from '../support/config.ts'
import { CLUSTER, type E2eWorld } from '../support/e2e-world.ts'
import { agentOf } from '../support/process-tree.ts'
import { type ServiceProcess, spawnService } from '../support/service-process.ts'
import { words } from '../support/words.ts'

const PODS = '/api/v1/namespaces/team/pods'
const USERS = ['orphan-1', 'orphan-2', 'orphan-3', 'orphan-4'] as const
const KINDS = 'serviceaccounts,secrets,clusterrolebindings,rolebindings'
/** A kubelet waits before it starts a container that fell over again and again. */
const AGAIN_MS_MAX = 60_000

/** Who dies, how long after the first requests, and which sessions are told to end just before. */
const round = fc.record({
  killed: fc.constantFrom('agent', 'session'),
  afterMs: fc.integer({ min: 0, max: 400 }),
  ended: fc.subarray([...USERS]),
})

export function noOrphan(world: () => E2eWorld): void {
  describe('property 9: no orphan', () => {
    let session: ServiceProcess | undefined

    beforeAll(async () => {
      for (const user of USERS) await world().createUser(user, ['developers'])
      await world().platform.service('session').stop()
      session = spawnSession()
    })
    // Whoever runs after this has no session service.
    afterAll(async () => {
      await session?.kill('SIGTERM')
    })

    const spawnSession = () => spawnService('session', world().platform.environmentOf('session'))
    const sessionIsBack = () =>
      eventually('session to be back', AGAIN_MS_MAX, () => sessionsOf(world(), '*'))

    test('agent and session service are killed again and again while sessions begin and end: nothing is left of any session that ended', async () => {
      const seed = Date.now() & 0x7fffffff
      const tokens = new Map<string, string>()
      for (const user of USERS) tokens.set(user, (await world().token(user)).secret)
      await sessionIsBack()

      for (const { killed, afterMs, ended } of fc.sample(round, { seed, numRuns: runs(6) })) {
        const first = [...tokens.values()].map((token) =>
          world()
            .ask(token, { path: PODS })
            .catch(() => undefined),
        )
        await wait(afterMs)
        const ending = ended.map((user) => endSessions(world(), user).catch(() => undefined))
        if (killed === 'agent') {
          await eventually('an agent to kill', AGAIN_MS_MAX, async () => {
            process.kill(agentOf(world().cluster(CLUSTER)), 'SIGKILL')
          })
          // A pod of its own, without the kubelet's back-off.
          const force = 'delete pod -n postern-system --all --force --grace-period=0 --wait=false'
          await world().cluster(CLUSTER).kubectl.ok(words(force))
        } else {
          await session?.kill('SIGKILL')
          session = spawnSession()
        }
        await Promise.all([...first, ...ending])
      }

      await sessionIsBack()
      for (const user of USERS) await endSessions(world(), user)
      await eventually(
        'the cluster to hold what open sessions need, and no more',
        90_000,
        async () => {
          const open = new Set((await sessionsOf(world(), '*')).map(({ id }) => id))
          const orphans = (await objects(world())).filter(({ of }) => !open.has(of))
          expect({ seed, orphans }).toEqual({ seed, orphans: [] })
          for (const user of USERS) expect(await sessionsOf(world(), user)).toEqual([])
        },
      )
      // It was not for want of accounts.
      const { secret } = await world().token('orphan-1')
      await eventually('a session as on the first day', AGAIN_MS_MAX, async () => {
        expect((await world().ask(secret, { path: PODS })).status).toBe(200)
      })
      const [again] = await sessionsOf(world(), 'orphan-1')
      const made = (await objects(world())).filter(({ of }) => of === again?.id)
      expect(made.map(({ kind }) => kind).toSorted()).toEqual([
        'ClusterRoleBinding',
        'Secret',
        'ServiceAccount',
      ])
    }, 300_000)
  })
}

type Session = { readonly id: string; readonly state: string }

/** Those that have not ended yet; "*" for everyone's. */
async function sessionsOf({ admin }: E2eWorld, user: string): Promise<Session[]> {
  const { sessions } = await admin.api.call('GET', `/v1/sessions?pageSize=1000&user=${user}`)
  const found: Session[] = Array.isArray(sessions) ? sessions : []
  return found.filter(({ state }) => /OPENING|ACTIVE/.test(state))
}

async function endSessions(world: E2eWorld, user: string): Promise<void> {
  for (const { id } of await sessionsOf(world, user)) {
    await world.admin.api.call('DELETE', `/v1/sessions/${id}`)
  }
}

/** Everything that agents ever made and that is still there, and for which session. */
async function objects(world: E2eWorld): Promise<{ kind: string; name: string; of: string }[]> {
  const list = words(`get ${KINDS} -A -l postern.dev/session -o json`)
  const text = await world.cluster(CLUSTER).kubectl.ok(list)
  type Listed = { kind: string; metadata: { name: string; labels: Record<string, string> } }
  const { items }: { items: Listed[] } = JSON.parse(text)
  return items.map(({ kind, metadata: { name, labels } }) => {
    return { kind, name, of: labels['postern.dev/session'] ?? '' }
  })
}
