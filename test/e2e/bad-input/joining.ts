import { eventually } from '@postern/bootstrap'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  type JoinFacts,
  joinFacts,
  prepareAgentNamespace,
  startAgentProcess,
} from '../support/agent-process.ts'
import { foreignAuthority } from '../support/certificates.ts'
import { changesNothing } from '../support/changes-nothing.ts'
import { query } from '../support/database.ts'
import { CLUSTER, type E2eWorld } from '../support/e2e-world.ts'
import { words } from '../support/words.ts'

const SPARE = 'spare'
/** Ten looks, a second apart, for what another agent may have stored. */
const GIVES_UP_MS_MAX = 40_000

type Wrong = {
  readonly name: string
  readonly change: (facts: JoinFacts, world: E2eWorld) => Partial<JoinFacts>
  /** In the agent's log. */
  readonly wanted: RegExp
  /** Whether it ends: what could still come right is waited for. */
  readonly ends: boolean
}

const NEW_MANIFEST = /unknown, expired or already used: apply a new join manifest/

const WRONG: readonly Wrong[] = [
  { name: 'used', change: () => ({}), wanted: NEW_MANIFEST, ends: true },
  {
    name: 'never-issued',
    change: ({ token }) => ({ token: `${token.slice(0, -4)}AAAA` }),
    wanted: NEW_MANIFEST,
    ends: true,
  },
  { name: 'default', change: () => ({ token: 'changeme' }), wanted: /JOIN_TOKEN/, ends: true },
  { name: 'empty', change: () => ({ token: '' }), wanted: /JOIN_TOKEN is empty/, ends: true },
  {
    name: 'no-relay',
    change: () => ({ relays: 'nowhere' }),
    wanted: /POSTERN_AGENT_RELAYS: must be "host:port"/,
    ends: true,
  },
  {
    name: 'closed-port',
    change: () => ({ relays: '127.0.0.1:1' }),
    wanted: /ECONNREFUSED|No connection established/,
    ends: false,
  },
  {
    name: 'a-web-server',
    change: (_facts, { platform }) => ({ relays: `127.0.0.1:${platform.ports.gateway}` }),
    wanted: /certificate|SPIFFE/i,
    ends: false,
  },
  {
    name: 'no-roots',
    change: () => ({ roots: 'not a certificate' }),
    wanted: /POSTERN_AGENT_ROOTS: must be PEM certificates/,
    ends: true,
  },
  {
    name: 'other-domain',
    change: () => ({ trustDomain: 'evil.example' }),
    wanted: /socket|ECONNRESET|disconnected|closed|EPIPE/i,
    ends: false,
  },
]

/** What an agent does that is told something wrong, and what it makes: nothing. */
export function joining(world: () => E2eWorld): void {
  describe('join manifests', () => {
    let good: JoinFacts
    let expired: JoinFacts
    const all = [...WRONG.map(({ name }) => name), 'expired', 'foreign-roots']

    beforeAll(async () => {
      const e2e = world()
      await e2e.admin.api.call('POST', '/v1/clusters', {
        name: SPARE,
        installLevel: 'INSTALL_LEVEL_VIEW',
      })
      good = await joinFacts(e2e, SPARE)
      expired = await joinFacts(e2e, SPARE)
      // An hour later, as far as that token knows.
      await query(
        e2e,
        `update tunnel_broker.join_tokens set expires_at = '2001-01-01T00:00:00.000Z'
          where token_sha256 = sha256($1::bytea)`,
        [Buffer.from(expired.token)],
      )
      await Promise.all([...all, 'good'].map((name) => prepareAgentNamespace(e2e, `join-${name}`)))
      const agent = await startAgentProcess(e2e, 'join-good', good)
      await eventually('an agent with the right manifest to join', 60_000, async () => {
        if (!/"joined"/.test(agent.output())) throw new Error(agent.output())
      })
      await eventually('the new namespaces to be told', 60_000, async () => {
        const rows = await query(
          e2e,
          "select distinct name from tunnel_broker.namespaces where name like 'join-%'",
        )
        expect(rows).toHaveLength(all.length + 1)
      })
      await agent.kill()
    }, 60_000)

    test('each wrong one is refused in words that say what is wrong, and nothing is made', async () => {
      const e2e = world()
      const { roots } = await foreignAuthority()
      const cases: readonly (Wrong & { readonly facts: JoinFacts })[] = [
        ...WRONG.map((wrong) => ({ ...wrong, facts: { ...good, ...wrong.change(good, e2e) } })),
        {
          name: 'expired',
          facts: expired,
          change: () => ({}),
          wanted: NEW_MANIFEST,
          ends: true,
        },
        {
          name: 'foreign-roots',
          facts: { ...expired, roots },
          change: () => ({}),
          wanted: /self-signed certificate|unable to (get|verify)|certificate/i,
          ends: false,
        },
      ]
      await changesNothing(e2e, async () => {
        // All at once: most of the time they wait.
        const outcomes = await Promise.all(
          cases.map(async ({ name, facts, wanted, ends }) => {
            const agent = await startAgentProcess(e2e, `join-${name}`, facts)
            try {
              await eventually(
                `the agent "${name}" to say ${wanted}`,
                GIVES_UP_MS_MAX,
                async () => {
                  if (!wanted.test(agent.output())) throw new Error(agent.output().slice(-2000))
                },
              )
              if (ends) return { name, code: await agent.ended }
              return { name, code: 'still trying' }
            } catch (error) {
              return { name, code: String(error) }
            } finally {
              await agent.kill()
            }
          }),
        )
        expect(outcomes).toEqual(
          cases.map(({ name, ends }) => ({ name, code: ends ? 1 : 'still trying' })),
        )
      })
      const { kubectl } = e2e.cluster(CLUSTER)
      for (const name of all) {
        const secrets = await kubectl.ok(words(`get secrets -n join-${name} -o name`))
        expect({ name, secrets }).toEqual({ name, secrets: '' })
      }
      const [agents] = await query<{ count: number }>(
        e2e,
        "select count(*)::int from tunnel_broker.agents a join tunnel_broker.clusters c using (cluster_id) where c.name = 'spare'",
      )
      expect(agents?.count).toBe(1)
    })

    test('the secret of a manifest is not its own key: the token opens nothing else', async () => {
      const answer = await world().ask(good.token, { path: '/api/v1/pods' })
      expect(answer.status).toBe(401)
      expect((await world().api(good.token, { path: '/v1/clusters' })).status).toBe(401)
    })
  })
}
