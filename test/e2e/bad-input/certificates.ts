import { Agent, request } from 'node:https'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  type Credentials,
  certificateOf,
  foreignAuthority,
  installationAuthority,
  installationRoots,
} from '../support/certificates.ts'
import { changesNothing } from '../support/changes-nothing.ts'
import { query } from '../support/database.ts'
import { CLUSTER, type E2eWorld } from '../support/e2e-world.ts'
import { grpcCall, protoField } from '../support/grpc.ts'
import { messageOf, send } from '../support/http.ts'

const PODS = `/clusters/${CLUSTER}/api/v1/namespaces/team/pods`
const DAY_MS = 24 * 60 * 60 * 1000
const NOBODY = '0198f5e2-0000-7000-8000-000000000000'

const LIST_USERS = '/postern.identity.v1.UserService/ListUsers'
const CREATE_USER = '/postern.identity.v1.UserService/CreateUser'
const ISSUE_AGENT = '/postern.identity.v1.CertificateAuthorityService/IssueAgentCertificate'
const AUTHENTICATE = '/postern.identity.v1.TokenService/AuthenticateToken'
const CREATE_GRANT = '/postern.policy.v1.GrantService/CreateGrant'
const OPEN_SESSION = '/postern.session.v1.SessionService/OpenSession'
const WATCH_ACCOUNTS = '/postern.session.v1.AgentSessionService/WatchAccounts'
const REGISTER_RELAY = '/postern.tunnelbroker.v1.RelayService/RegisterRelay'
const JOIN = '/postern.tunnelbroker.v1.AgentService/Join'
const REPORT_STATUS = '/postern.tunnelbroker.v1.AgentService/ReportStatus'
const RENEW = '/postern.tunnelbroker.v1.AgentService/Renew'
const APPEND_RECORDS = '/postern.audit.v1.IngestService/AppendRecords'
const READ_EVENTS = '/postern.eventlog.v1.EventLogService/ReadEvents'

/** Who is let in by a certificate, where, and for what. */
export function certificates(world: () => E2eWorld): void {
  describe('certificates', () => {
    let roots = ''
    const known = new Map<string, Credentials>()
    const of = (path: string): Credentials => {
      const found = known.get(path)
      if (found === undefined) throw new Error(`no certificate for ${path}`)
      return found
    }
    beforeAll(async () => {
      roots = installationRoots(world())
      const authority = installationAuthority(world())
      const paths = ['service/console', 'service/policy', 'gateway/thief', 'relay/thief'].concat(
        [`agent/${NOBODY}/${NOBODY}`, 'service/identity'],
        ['service/unheard-of', 'user/lead'],
      )
      for (const path of paths) known.set(path, await certificateOf(authority, path))
      const { authority: foreign } = await foreignAuthority()
      known.set('foreign', await certificateOf(foreign, 'service/console'))
      const longAgo = { now: new Date(Date.now() - 2 * DAY_MS), lifeSeconds: 3600 }
      known.set('expired', await certificateOf(authority, 'service/console', longAgo))
    })

    const ports = () => {
      const { identity, policy, session, tunnelBroker, audit } = world().platform.ports
      return { identity, policy, session, tunnelBroker, audit }
    }

    test.each([
      { name: 'no certificate', which: undefined },
      { name: 'one of another authority with the right name', which: 'foreign' },
      { name: 'an expired one', which: 'expired' },
    ])('with $name no port of a service answers at all', async ({ which }) => {
      await changesNothing(world(), async () => {
        for (const port of Object.values(ports())) {
          const credentials = which === undefined ? undefined : of(which)
          const path = '/grpc.health.v1.Health/Check'
          const answer = await grpcCall({ port, path, ca: roots, credentials })
          expect(answer.status).toBe('no connection')
          expect(answer.message).toMatch(/alert|certificate|closed|reset|EPIPE/i)
        }
      })
    })

    test.each([
      { name: 'a service that is none', which: 'service/unheard-of' },
      { name: 'a user', which: 'user/lead' },
    ])('a certificate of the installation for $name names no part of it', async ({ which }) => {
      await changesNothing(world(), async () => {
        for (const port of Object.values(ports())) {
          const path = '/grpc.health.v1.Health/Check'
          const answer = await grpcCall({ port, path, ca: roots, credentials: of(which) })
          expect(answer.status).toBe('UNAUTHENTICATED')
          expect(answer.message).toMatch(/names no part of this installation/)
        }
      })
    })

    const AGENT = `agent/${NOBODY}/${NOBODY}`
    test.each([
      { who: 'gateway/thief', at: 'identity', path: LIST_USERS },
      { who: 'gateway/thief', at: 'identity', path: ISSUE_AGENT },
      { who: 'gateway/thief', at: 'identity', path: AUTHENTICATE },
      { who: 'gateway/thief', at: 'policy', path: CREATE_GRANT },
      { who: 'gateway/thief', at: 'session', path: WATCH_ACCOUNTS },
      { who: 'gateway/thief', at: 'tunnelBroker', path: REGISTER_RELAY },
      { who: 'relay/thief', at: 'identity', path: ISSUE_AGENT },
      { who: 'relay/thief', at: 'session', path: OPEN_SESSION },
      { who: 'relay/thief', at: 'audit', path: APPEND_RECORDS },
      { who: 'relay/thief', at: 'policy', path: READ_EVENTS },
      { who: AGENT, at: 'identity', path: CREATE_USER },
      { who: AGENT, at: 'session', path: OPEN_SESSION },
      { who: AGENT, at: 'policy', path: READ_EVENTS },
      { who: AGENT, at: 'audit', path: APPEND_RECORDS },
      { who: 'service/policy', at: 'identity', path: CREATE_USER },
      { who: 'service/policy', at: 'session', path: OPEN_SESSION },
      { who: 'service/console', at: 'session', path: OPEN_SESSION },
      { who: 'service/console', at: 'audit', path: APPEND_RECORDS },
    ] as const)('$who may not call $path', async ({ who, at, path }) => {
      const order = { port: ports()[at], path, ca: roots, credentials: of(who) }
      const answer = await changesNothing(world(), () => grpcCall(order))
      expect(answer).toEqual({
        status: 'PERMISSION_DENIED',
        message: 'this part of Postern may not call this',
      })
    })

    test('an agent that nobody let in gets neither orders nor a word in', async () => {
      const [row] = await query<{ cluster_id: string }>(
        world(),
        'select cluster_id from tunnel_broker.clusters',
      )
      const intruder = `agent/${row?.cluster_id}/${NOBODY}`
      const credentials = await certificateOf(installationAuthority(world()), intruder)
      await changesNothing(world(), async () => {
        const { session, tunnelBroker } = ports()
        for (const order of [
          { port: session, path: WATCH_ACCOUNTS, credentials },
          { port: tunnelBroker, path: REPORT_STATUS, credentials },
          { port: tunnelBroker, path: RENEW, credentials },
          { port: tunnelBroker, path: REPORT_STATUS, credentials: of(AGENT) },
        ]) {
          const { status, message } = await grpcCall({ ...order, ca: roots })
          expect(status).toBe('PERMISSION_DENIED')
          expect(message).toMatch(/this agent (was removed|is not, or no more, an agent)/)
        }
      })
    })

    test('the console itself may do nothing in the name of nobody, or with a made-up token', async () => {
      const order = { port: ports().identity, path: LIST_USERS, ca: roots }
      const credentials = of('service/console')
      await changesNothing(world(), async () => {
        const nobody = await grpcCall({ ...order, credentials })
        expect(nobody.status).toBe('UNAUTHENTICATED')
        expect(nobody.message).toMatch(/sign in first/)
        for (const token of ['x', `ptk_${'A'.repeat(43)}`, 'a,b']) {
          const metadata = { 'postern-user-token': token }
          const answer = await grpcCall({ ...order, credentials, metadata })
          expect(answer.status).toBe('UNAUTHENTICATED')
        }
      })
    })

    test('only the console acts for users: a stolen user token is worth nothing to another part', async () => {
      const metadata = { 'postern-user-token': world().admin.api.token ?? '' }
      const message = protoField(1, 'made-by-a-thief')
      for (const who of ['gateway/thief', 'relay/thief', 'service/policy', AGENT]) {
        const order = { port: ports().identity, path: CREATE_USER, ca: roots, metadata, message }
        const answer = await changesNothing(world(), () =>
          grpcCall({ ...order, credentials: of(who) }),
        )
        expect(answer.status).toBe('PERMISSION_DENIED')
      }
    })

    test('the join port serves joining alone, and that only for a token', async () => {
      const port = world().platform.ports.tunnelBrokerJoin
      await changesNothing(world(), async () => {
        for (const path of [REPORT_STATUS, REGISTER_RELAY, READ_EVENTS, LIST_USERS]) {
          const { status } = await grpcCall({ port, path, ca: roots })
          expect(['UNAUTHENTICATED', 'UNIMPLEMENTED']).toContain(status)
        }
        for (const token of ['', 'x', `pjt_${'A'.repeat(43)}`, '\u0000']) {
          const message = token === '' ? Buffer.alloc(0) : protoField(1, token)
          const answer = await grpcCall({ port, path: JOIN, ca: roots, message })
          expect(['PERMISSION_DENIED', 'INVALID_ARGUMENT']).toContain(answer.status)
          expect(answer.message).toMatch(
            /join token is unknown, expired or already used|token|certificate|NUL/,
          )
        }
        const garbage = Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff])
        const answer = await grpcCall({ port, path: JOIN, ca: roots, message: garbage })
        expect(answer.status).not.toBe('OK')
      })
    })

    test('messages that are no protobuf are refused by every service, and by none as its own failure', async () => {
      const garbage = Buffer.from('ffffffffffffffff0a05', 'hex')
      const metadata = { 'postern-user-token': world().admin.api.token ?? '' }
      const credentials = of('service/console')
      await changesNothing(world(), async () => {
        for (const [at, path] of [
          ['identity', CREATE_USER],
          ['policy', CREATE_GRANT],
          ['tunnelBroker', '/postern.tunnelbroker.v1.ClusterService/CreateCluster'],
          ['session', '/postern.session.v1.SessionService/EndSession'],
          ['audit', '/postern.audit.v1.AuditService/ListLeaves'],
        ] as const) {
          const order = { port: ports()[at], path, ca: roots, metadata, message: garbage }
          const { status } = await grpcCall({ ...order, credentials })
          expect(status).not.toBe('OK')
        }
      })
    })

    test.each(['gateway/thief', AGENT, 'service/identity', 'relay/thief'])(
      'the certificate of %s is no sign-in at the gateway or the public API',
      async (who) => {
        const { ca, platform } = world()
        const { port } = new URL(platform.gatewayUrl)
        await changesNothing(world(), async () => {
          const agent = new Agent({ ca, ...of(who) })
          for (const url of [`https://127.0.0.1:${port}${PODS}`, `${platform.apiUrl}/v1/users`]) {
            const status = await new Promise<number | undefined>((resolve, reject) => {
              const sent = request(url, { agent }, (response) => {
                response.resume()
                resolve(response.statusCode)
              })
              sent.on('error', reject)
              sent.end()
            })
            expect(status).toBe(401)
          }
          agent.destroy()
        })
      },
    )

    test('a client that expects another server finds out: the web certificate is no part of Postern', async () => {
      const { ca, platform } = world()
      const answer = await send(`${platform.apiUrl}/openapi.json`, ca, { path: '' })
      expect(answer.status).toBe(200)
      await expect(send(`${platform.apiUrl}/openapi.json`, roots, { path: '' })).rejects.toThrow(
        /certificate|issuer/i,
      )
      expect(messageOf(answer)).not.toBe('')
    })
  })
}
