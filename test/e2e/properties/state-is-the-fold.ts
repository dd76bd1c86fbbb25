import { eventually, readRecords, replayDecisions } from '@postern/bootstrap'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { runs } from '../support/config.ts'
import { CLUSTER, type E2eWorld, LABELS } from '../support/e2e-world.ts'
import { words } from '../support/words.ts'

const WORKERS = 6
const USERS = words('fold-ada fold-bob fold-cyd fold-dan')
const GROUPS = words('fold-red fold-blue')
const ROLES = words('fold-reader fold-writer')
const GRANTS = words('fold-one fold-two fold-three')
/** What the public API lists: every projection that people see. */
const LISTS = words('users groups roles grants clusters sessions?user=*&ended=true tokens?user=*')

type Command = { readonly method: string; readonly path: string; readonly body?: object }

const user = fc.constantFrom(...USERS)
const group = fc.constantFrom(...GROUPS)
const role = fc.constantFrom(...ROLES)
const grant = fc.constantFrom(...GRANTS)
const rules = fc
  .subarray(['get', 'list', 'watch', 'delete'], { minLength: 1 })
  .map((verbs) => [{ verbs, apiGroups: [''], resources: ['pods', 'configmaps'] }])
const terms = fc
  .record({
    subject: fc.oneof(
      user.map((name) => `user:${name}`),
      group.map((name) => `group:${name}`),
    ),
    role,
    byLabel: fc.boolean(),
    namespaces: fc.constantFrom({ all: true }, { names: ['team'] }, { names: ['te*', 'x'] }),
    secondsLeft: fc.option(fc.integer({ min: -5, max: 3600 })),
  })
  .map(({ subject, byLabel, secondsLeft, ...rest }) => ({
    ...rest,
    subjects: [subject],
    ...(byLabel ? { clusterSelector: { matchLabels: LABELS } } : { clusters: [CLUSTER] }),
    ...(secondsLeft === null
      ? {}
      : { notAfter: new Date(Date.now() + secondsLeft * 1000).toISOString() }),
  }))

const command: fc.Arbitrary<Command> = fc.oneof(
  user.map((name) => ({ method: 'POST', path: 'users', body: { name } })),
  user.map((name) => ({ method: 'DELETE', path: `users/${name}` })),
  fc
    .record({ name: user, verb: fc.constantFrom('disable', 'enable') })
    .map(({ name, verb }) => ({ method: 'POST', path: `users/${name}/${verb}`, body: {} })),
  user.map((name) => {
    return { method: 'POST', path: 'tokens', body: { user: name, lifetime: '600s' } }
  }),
  group.map((name) => ({ method: 'POST', path: 'groups', body: { name } })),
  group.map((name) => ({ method: 'DELETE', path: `groups/${name}` })),
  fc
    .record({ group, user })
    .map((on) => ({ method: 'POST', path: `groups/${on.group}/members`, body: { user: on.user } })),
  fc
    .record({ group, user })
    .map((on) => ({ method: 'DELETE', path: `groups/${on.group}/members/${on.user}` })),
  fc.record({ name: role, rules }).map((body) => ({ method: 'POST', path: 'roles', body })),
  fc
    .record({ role, rules })
    .map((on) => ({ method: 'PUT', path: `roles/${on.role}`, body: { rules: on.rules } })),
  role.map((name) => ({ method: 'DELETE', path: `roles/${name}` })),
  fc.record({ name: grant, terms }).map((body) => ({ method: 'POST', path: 'grants', body })),
  fc
    .record({ grant, terms })
    .map((on) => ({ method: 'PUT', path: `grants/${on.grant}`, body: { terms: on.terms } })),
  grant.map((name) => ({ method: 'DELETE', path: `grants/${name}` })),
  fc.constantFrom('a', 'b').map((ring) => {
    const body = { labels: { ...LABELS, ring } }
    return { method: 'PUT', path: `clusters/${CLUSTER}/labels`, body }
  }),
)

export function stateIsTheFold(world: () => E2eWorld): void {
  describe('property 8: state is the fold of its log', () => {
    test('after any commands of administrators who race each other every projection is rebuilt equal, shows the same, and every decision comes out again', async () => {
      const seed = Date.now() & 0x7fffffff
      const queue = fc.sample(command, { seed, numRuns: runs(300) })
      const statuses = new Map<number, number>()
      const worker = async () => {
        for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
          const { status, text } = await execute(world(), next)
          expect({ seed, next, status, text, fails: status >= 500 }).toMatchObject({ fails: false })
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
        }
      }
      const asking = askMeanwhile(world())
      await Promise.all(Array.from({ length: WORKERS }, worker))
      await asking.stop()
      // Most meant something, and some were against a rule.
      expect(statuses.get(200)).toBeGreaterThan(50)
      expect([...statuses.keys()].some((status) => status >= 400)).toBe(true)

      const shown = await lists(world())
      const rebuilt = await world().postern.ok(words('rebuild --verify -o json'))
      const projections: { equal: boolean }[] = JSON.parse(rebuilt)
      expect({ seed, different: projections.filter(({ equal }) => !equal) }).toEqual({
        seed,
        different: [],
      })
      expect(projections.length).toBeGreaterThan(5)
      expect(await lists(world())).toEqual(shown)

      await eventually('every decision to come out again', 60_000, async () => {
        const { decisions, differences } = await replayDecisions(
          world(),
          await readRecords(world(), ['--user', 'lead']),
        )
        expect({ seed, differences }).toEqual({ seed, differences: [] })
        expect(decisions).toBeGreaterThan(20)
      })
    })
  })
}

async function execute(world: E2eWorld, { method, path, body }: Command) {
  const token = world.admin.api.token
  const content =
    body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  return await world.api(token, { method, path: `/v1/${path}`, ...content })
}

/** Requests whose decisions are made while everything changes. */
function askMeanwhile(world: E2eWorld): { stop(): Promise<void> } {
  let isOver = false
  const asking = (async () => {
    const { secret } = await world.token('lead')
    while (!isOver) {
      await world.ask(secret, { path: '/api/v1/namespaces/team/pods?limit=1' })
      await world.ask(secret, { path: '/api/v1/namespaces/team/secrets' })
    }
  })()
  return {
    async stop() {
      isOver = true
      await asking
    },
  }
}

async function lists(world: E2eWorld): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {}
  for (const list of LISTS) {
    const path = `/v1/${list}${list.includes('?') ? '&' : '?'}pageSize=1000`
    const answer: unknown = await world.admin.api.call('GET', path)
    // When an agent was last seen is what it reports meanwhile, and in no log.
    found[list] = JSON.stringify(answer, (name, value: unknown) =>
      name === 'lastSeenAt' ? undefined : value,
    )
  }
  return found
}
