import { deepStrictEqual, ok } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { eventually } from '@postern/bootstrap'
import { CLUSTER, type E2eWorld, query, send } from '@postern/e2e/support'
import type { Check } from '../check.ts'
import { bytesOf, overHttp1 } from '../client.ts'
import { expectMatch, expectStatus } from '../expect.ts'
import { grantedUser } from '../granted-user.ts'
import { openConnection } from '../open-connection.ts'
import { WHOLE } from '../worlds.ts'

const TEAM = '/api/v1/namespaces/team'
const PODS = `${TEAM}/pods`
const KINDS = 'serviceaccounts,secrets,clusterrolebindings,rolebindings'
const DONE_MS_MAX = 60_000
/** kube-apiserver believes a token for up to ten seconds after it has looked at it. */
const FORGOTTEN_MS_MAX = 60_000
/** RFC 1123, 253 characters; and what makes it one of ours. */
const ACCOUNT = /^ptr-[a-z0-9]+-[a-z0-9]+$/
const onPods = [{ verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['pods'] }]

type Session = { readonly id: string; readonly account: string; readonly state: string }

async function openSessions(world: E2eWorld, user: string): Promise<Session[]> {
  const { sessions } = await world.admin.api.call('GET', `/v1/sessions?pageSize=1000&user=${user}`)
  const found: Session[] = Array.isArray(sessions) ? sessions : []
  return found.filter(({ state }) => /OPENING|ACTIVE/.test(state))
}

/** Someone with a session on the real cluster. */
async function sessionOf(world: E2eWorld, name: string) {
  const granted = { name, cluster: CLUSTER, rules: onPods, namespaces: ['team'] }
  const token = await grantedUser(world, granted)
  const [session] = await openSessions(world, name)
  ok(session !== undefined, 'there is no session')
  return { token, session }
}

export const accountChecks: readonly Check[] = [
  {
    id: 'JT-01',
    title:
      'a token of an account lives for ten minutes at least, for kube-apiserver alone, and hangs on the Secret of its session',
    async run(worlds) {
      const world = await worlds.recording()
      await world.user('tokened', onPods, ['team'])
      const [session] = await openSessions(world.e2e, 'tokened')
      const account = session?.account ?? ''
      const path = `/api/v1/namespaces/postern-jit/serviceaccounts/${account}/token`
      const asked = world.api.ofAgent.filter(({ target }) => target === path)
      ok(asked.length > 0, `no token was asked for ${account}`)
      for (const { body } of asked) {
        const { spec } = JSON.parse(body)
        ok(spec.expirationSeconds >= 600, `${spec.expirationSeconds} s`)
        deepStrictEqual(spec.audiences ?? [], [])
        const { kind, name, uid } = spec.boundObjectRef
        deepStrictEqual({ kind, name }, { kind: 'Secret', name: account })
        expectMatch(uid, /^[0-9a-f-]{36}$/)
      }
    },
  },
  {
    id: 'JT-02',
    title:
      'with its session the Secret goes, and with the Secret every token; who comes again gets another account',
    async run(worlds) {
      const world = await worlds.cluster()
      const { token, session } = await sessionOf(world, 'brief')
      const { account } = session
      const { kubectl, server, ca } = world.cluster(CLUSTER)
      const bound = ['--bound-object-kind=Secret', `--bound-object-name=${account}`]
      const create = ['create', 'token', account, '-n', 'postern-jit', ...bound]
      const ofCluster = (await kubectl.ok(create)).trim()
      const authority = readFileSync(ca, 'utf8')
      const headers = { authorization: `Bearer ${ofCluster}` }
      const direct = async () =>
        (await send(`${server}/api`, authority, { path: '', headers })).status
      deepStrictEqual(await direct(), 200)
      await world.admin.api.call('DELETE', `/v1/sessions/${session.id}`)
      await eventually('the token to be worth nothing', FORGOTTEN_MS_MAX, async () => {
        deepStrictEqual(await direct(), 401)
      })
      const answer = await eventually('a new session', DONE_MS_MAX, async () => {
        const said = await world.ask(token, { path: PODS })
        deepStrictEqual(said.status, 200)
        return said
      })
      const [next] = await openSessions(world, 'brief')
      ok(next !== undefined && next.account !== account, `${next?.account} again: ${answer.status}`)
    },
  },
  {
    id: 'JT-03',
    title:
      'the agent may make accounts and bind them to its tiers, and neither escalate, impersonate, read a secret elsewhere nor bind what is not its own',
    async run(worlds) {
      const world = await worlds.wholeCluster()
      const { kubectl } = world.cluster(WHOLE)
      const as = '--as=system:serviceaccount:postern-system:postern-agent'
      const may = async (...question: string[]) =>
        (await kubectl.run(['auth', 'can-i', ...question, as])).code === 0
      for (const yes of [
        'create serviceaccounts -n postern-jit',
        'create serviceaccounts --subresource=token -n postern-jit',
        'bind clusterroles/postern-view',
        'create clusterrolebindings',
        'watch namespaces',
      ]) {
        ok(await may(...yes.split(' ')), yes)
      }
      for (const no of [
        'get secrets -n kube-system',
        'list secrets -A',
        'create serviceaccounts --subresource=token -n default',
        'create serviceaccounts --subresource=token -n postern-system',
        'bind clusterroles/cluster-admin',
        'bind clusterroles',
        'escalate clusterroles',
        'update clusterroles',
        'update clusterrolebindings',
        'impersonate users',
        'impersonate groups',
        'impersonate serviceaccounts',
        'create pods -n postern-jit',
        'create pods --subresource=exec -A',
        'get pods -A',
        'get nodes --subresource=proxy',
        'update secrets -n postern-jit',
      ]) {
        ok(!(await may(...no.split(' '))), no)
      }
      for (const [name, subject] of [
        ['thief', 'serviceaccount=postern-jit:x'],
        ['ptr-thief', 'user=thief'],
        ['ptr-thief', 'serviceaccount=default:default'],
      ]) {
        const create = ['create', 'clusterrolebinding', name ?? '', `--${subject}`, as]
        const { code, stderr } = await kubectl.run([...create, '--clusterrole=postern-view'])
        deepStrictEqual(code, 1, name)
        expectMatch(stderr, /the Postern agent (?:touches|binds) only/)
      }
    },
  },
  {
    id: 'JT-05',
    title:
      'whatever somebody is called, the account has a name that Kubernetes takes, and that nobody else has',
    async run(worlds) {
      const world = await worlds.recording()
      const { e2e } = world
      const { api } = e2e.admin
      await api.call('POST', '/v1/groups', { name: 'oddly-named' })
      await api.call('POST', '/v1/roles', { name: 'oddly-named', rules: onPods })
      const where = { clusters: ['recorded'], namespaces: { all: true } }
      const terms = { subjects: ['group:oddly-named'], role: 'oddly-named', ...where }
      await api.call('POST', '/v1/grants', { name: 'oddly-named', terms })
      const names = [
        'a.b+c@ex.com',
        'a.b-c@ex.com',
        'a_b',
        'A.B',
        'ünï',
        'x'.repeat(300),
        '日本',
        'a b',
      ]
      const accounts = new Set<string>()
      let taken = 0
      for (const name of names) {
        const made = await api.call('POST', '/v1/users', { name }).then(
          () => true,
          () => false,
        )
        if (!made) continue
        taken += 1
        await api.call('POST', '/v1/groups/oddly-named/members', { user: name })
        const { secret } = await e2e.token(name)
        const answer = await eventually(`${name} to be let in`, DONE_MS_MAX, async () => {
          const reply = await overHttp1(world, { target: PODS, token: secret })
          expectStatus(reply, 200)
          return world.api.arrived.at(-1)
        })
        expectMatch(answer?.account ?? '', ACCOUNT)
        ok((answer?.account ?? '').length <= 63, answer?.account)
        accounts.add(answer?.account ?? '')
      }
      ok(taken >= 2, 'no name was taken')
      deepStrictEqual(accounts.size, taken)
    },
  },
  {
    id: 'JT-06',
    title: 'when a session ends nothing of it stays in the cluster, in any namespace',
    async run(worlds) {
      const world = await worlds.cluster()
      const { session } = await sessionOf(world, 'tidy')
      const { kubectl } = world.cluster(CLUSTER)
      const list = ['get', KINDS, '-A', '-l', `postern.dev/session=${session.id}`, '-o', 'name']
      const made = await kubectl.ok(list)
      expectMatch(made, /serviceaccount\/ptr-.*secret\/ptr-.*rolebinding.*ptr-/s)
      await world.admin.api.call('DELETE', `/v1/sessions/${session.id}`)
      await eventually('nothing to be left', DONE_MS_MAX, async () => {
        deepStrictEqual(await kubectl.ok(list), '')
      })
    },
  },
  {
    id: 'JT-07',
    title: 'whoever only watches is not idle: the session is in use while the stream is',
    async run(worlds) {
      const world = await worlds.cluster()
      const { token, session } = await sessionOf(world, 'watching')
      const host = `${CLUSTER}.postern.localhost`
      const bytes = bytesOf({ host, token }, { target: `${PODS}?watch=true` })
      const where = { gatewayPort: world.platform.ports.gateway, e2e: world }
      const client = await openConnection(where, bytes)
      await client.until('an event', () => client.text().includes('"ADDED"'))
      await eventually('the watch to count as use', DONE_MS_MAX, async () => {
        const [row] = await query<{ open: number }>(
          world,
          'select open_streams as open from session.activity where session_id = $1',
          [session.id],
        )
        deepStrictEqual(row?.open, 1)
      })
      client.close()
    },
  },
]
