import { deepStrictEqual, ok } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { connect } from 'node:tls'
import {
  CLUSTER,
  type Credentials,
  certificateOf,
  type E2eWorld,
  foreignAuthority,
  grpcCall,
  installationAuthority,
  installationRoots,
  joinFacts,
  natsPassword,
  saidByNats,
} from '@postern/e2e/support'
import { type Access, accessOf } from '@postern/rpc'
import type { Check } from '../check.ts'

const NOBODY = '0198f5e2-0000-7000-8000-000000000000'
const DAY_MS = 24 * 60 * 60 * 1000
const AT_ONCE = 8
const PROBE_MS_MAX = 10_000

/** Which services answer on which port. */
const LISTENERS = {
  identity: ['CertificateAuthorityService', 'UserService', 'TokenService', 'GroupService'].map(
    (name) => `postern.identity.v1.${name}`,
  ),
  policy: ['GrantService', 'RoleService'].map((name) => `postern.policy.v1.${name}`),
  session: ['SessionService', 'AgentSessionService'].map((name) => `postern.session.v1.${name}`),
  tunnelBroker: ['ClusterService', 'AgentService', 'RelayService'].map(
    (name) => `postern.tunnelbroker.v1.${name}`,
  ),
  audit: ['IngestService', 'AuditService'].map((name) => `postern.audit.v1.${name}`),
} as const
const EVENT_LOG = 'postern.eventlog.v1.EventLogService'

/** Of a kind as RPCs name their callers; undefined where the certificate makes nobody of them. */
type Holder = {
  readonly name: string
  readonly kind: string | undefined
  readonly credentials: Credentials | undefined
}

async function holders(world: E2eWorld): Promise<Holder[]> {
  const authority = installationAuthority(world)
  const { authority: foreign } = await foreignAuthority()
  const longAgo = { now: new Date(Date.now() - 2 * DAY_MS), lifeSeconds: 3600 }
  const services = ['identity', 'policy', 'session', 'tunnel-broker', 'audit', 'console']
  const parts = [
    ...services.map((kind) => ({ kind, path: `service/${kind}` })),
    { kind: 'gateway', path: 'gateway/thief' },
    { kind: 'relay', path: 'relay/thief' },
    { kind: 'agent', path: `agent/${NOBODY}/${NOBODY}` },
    { kind: undefined, path: 'user/lead' },
    { kind: undefined, path: 'service/unheard-of' },
  ]
  const issued = parts.map(async ({ kind, path }) => {
    return { name: path, kind, credentials: await certificateOf(authority, path) }
  })
  return [
    ...(await Promise.all(issued)),
    { name: 'nobody', kind: undefined, credentials: undefined },
    {
      name: 'a console of another authority',
      kind: undefined,
      credentials: await certificateOf(foreign, 'service/console'),
    },
    {
      name: 'an expired console',
      kind: undefined,
      credentials: await certificateOf(authority, 'service/console', longAgo),
    },
  ]
}

function mayCall({ peers, signedOut, permission, own }: Access, { kind }: Holder): boolean {
  if (kind === undefined) return false
  const throughConsole = signedOut || permission !== '' || own
  return peers.includes(kind) || (kind === 'console' && throughConsole)
}

const REFUSED = ['PERMISSION_DENIED', 'UNAUTHENTICATED', 'no connection']

/** Which of them were answered with anything but these statuses. */
async function letIn(
  attempts: readonly {
    readonly listener: string
    readonly holder: Holder
    readonly order: { readonly port: number; readonly path: string; readonly ca: string }
  }[],
  refused: readonly string[],
): Promise<string[]> {
  const found: string[] = []
  const queue = attempts.values()
  const worker = async () => {
    for (const { listener, holder, order } of queue) {
      const { status } = await grpcCall({ ...order, credentials: holder.credentials })
      if (!refused.includes(status))
        found.push(`${holder.name} at ${listener}${order.path}: ${status}`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return found
}

export const credentialChecks: readonly Check[] = [
  {
    id: 'CR-01',
    title: 'every RPC of every service refuses every certificate but those that its contract names',
    async run(worlds) {
      const world = await worlds.cluster()
      const ca = installationRoots(world)
      const everybody = await holders(world)
      const calls = Object.entries(LISTENERS).flatMap(([listener, services]) =>
        [...accessOf([...services, EVENT_LOG])].flatMap(([path, access]) =>
          everybody
            .filter((holder) => !mayCall(access, holder))
            .map((holder) => ({ listener, path, holder })),
        ),
      )
      ok(calls.length > 500, `only ${calls.length} combinations`)
      const ports: Readonly<Record<string, number>> = world.platform.ports
      const metadata = { 'postern-user-token': world.admin.api.token ?? '' }
      const attempts = calls.map(({ listener, path, holder }) => {
        return { listener, holder, order: { port: ports[listener] ?? 0, path, ca, metadata } }
      })
      deepStrictEqual(await letIn(attempts, REFUSED), [])
    },
  },
  {
    id: 'CR-02',
    title: 'the join port serves joining alone, whoever comes',
    async run(worlds) {
      const world = await worlds.cluster()
      const ca = installationRoots(world)
      const port = world.platform.ports.tunnelBrokerJoin
      const paths = [...accessOf(Object.values(LISTENERS).flat()).keys()]
      const attempts = (await holders(world)).flatMap((holder) =>
        paths
          .filter((path) => path !== '/postern.tunnelbroker.v1.AgentService/Join')
          .map((path) => ({ listener: 'join', holder, order: { port, path, ca } })),
      )
      deepStrictEqual(await letIn(attempts, [...REFUSED, 'UNIMPLEMENTED']), [])
    },
  },
  {
    id: 'CR-03',
    title:
      'the relay gives a control connection to agents and gateways alone, and splices nothing it does not know',
    async run(worlds) {
      const world = await worlds.cluster()
      const domain = 'postern.internal'
      const unknownPair = `${randomBytes(16).toString('hex')}.pair.${domain}`
      for (const { name, kind, credentials } of await holders(world)) {
        const greeted = await relayGreets(world, `relay.${domain}`, credentials)
        deepStrictEqual(
          { name, greeted },
          { name, greeted: kind === 'agent' || kind === 'gateway' },
        )
        for (const servername of [
          unknownPair,
          `policy.${domain}`,
          `identity.${domain}`,
          `audit.${domain}`,
          'x',
        ]) {
          const answers = await relayGreets(world, servername, credentials)
          deepStrictEqual({ name, servername, answers }, { name, servername, answers: false })
        }
      }
    },
  },
  {
    id: 'CR-04',
    title:
      'at the gateway and the public API no certificate signs anybody in, and no token but a user token',
    async run(worlds) {
      const world = await worlds.cluster()
      const { kubectl } = world.cluster(CLUSTER)
      const ofAgent = await kubectl.ok(['create', 'token', 'postern-agent', '-n', 'postern-system'])
      const tokens = [
        undefined,
        ofAgent.trim(),
        'pjt_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
        `ptk_${'A'.repeat(43)}`,
        '',
      ]
      const { gatewayUrl, apiUrl } = world.platform
      const urls = [`${gatewayUrl}/clusters/${CLUSTER}/api/v1/pods`, `${apiUrl}/v1/users`]
      for (const { name, credentials } of await holders(world)) {
        for (const url of urls) {
          for (const token of tokens) {
            const status = await statusOf({ url, token, credentials, ca: world.ca })
            deepStrictEqual({ name, url, token, status }, { name, url, token, status: 401 })
          }
        }
      }
    },
  },
  {
    id: 'CR-05',
    title: "a user's token of Postern is worth nothing at kube-apiserver, whoever presents it",
    async run(worlds) {
      const world = await worlds.cluster()
      const { secret } = await world.token('lead')
      const { server, ca: caFile } = world.cluster(CLUSTER)
      const ca = readFileSync(caFile, 'utf8')
      for (const { name, credentials } of await holders(world)) {
        const url = `${server}/api/v1/pods`
        const status = await statusOf({ url, token: secret, credentials, ca })
        deepStrictEqual({ name, status }, { name, status: 401 })
      }
    },
  },
  {
    id: 'CR-06',
    title:
      'a join token joins, once, and signs in nowhere; on the bus nobody signs in with a token, nor anybody but an owner of a log',
    async run(worlds) {
      const world = await worlds.cluster()
      const order = { name: 'joining', labels: {}, installLevel: 'INSTALL_LEVEL_VIEW' }
      await world.admin.api.call('POST', '/v1/clusters', order)
      const { token: joinToken } = await joinFacts(world, 'joining')
      const { secret: userToken } = await world.token('lead')
      const { gatewayUrl, apiUrl } = world.platform
      for (const url of [`${gatewayUrl}/clusters/${CLUSTER}/api`, `${apiUrl}/v1/clusters`]) {
        const status = await statusOf({
          url,
          token: joinToken,
          credentials: undefined,
          ca: world.ca,
        })
        deepStrictEqual({ url, status }, { url, status: 401 })
      }
      for (const user of ON_THE_BUS) {
        for (const pass of [userToken, joinToken, world.admin.api.token ?? '', '']) {
          const said = await saidByNats(world, { user, pass })
          ok(
            said.some((line) => line.includes('Authorization Violation')),
            `${user}: ${said.join()}`,
          )
        }
      }
      const owner = { user: 'identity', pass: natsPassword(world, 'identity') }
      deepStrictEqual(await saidByNats(world, owner), [])
    },
  },
]

/** Users of the bus that some part might think it has. */
const ON_THE_BUS = ['gateway', 'relay', 'agent', 'console', 'lead', 'identity', 'audit']

/** Whether the relay says that whoever comes may ask for something. */
async function relayGreets(
  world: E2eWorld,
  servername: string,
  credentials: Credentials | undefined,
): Promise<boolean> {
  const socket = connect({
    host: '127.0.0.1',
    port: world.platform.ports.relay,
    ca: installationRoots(world),
    servername,
    ...credentials,
    checkServerIdentity: () => undefined,
  })
  socket.on('error', () => {})
  // The control protocol's length, then its message.
  const park = Buffer.from('{"type":"park"}')
  const length = Buffer.alloc(4)
  length.writeUInt32BE(park.length)
  socket.once('secureConnect', () => socket.write(Buffer.concat([length, park])))
  try {
    return await new Promise<boolean>((resolve) => {
      let text = ''
      const timer = setTimeout(() => resolve(false), PROBE_MS_MAX)
      const end = (greeted: boolean) => {
        clearTimeout(timer)
        resolve(greeted)
      }
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1')
        if (text.includes('"ready"')) end(true)
      })
      socket.on('close', () => end(false))
    })
  } finally {
    socket.destroy()
  }
}

/** Of an answer to a GET; 0 where there is none. */
async function statusOf(order: {
  readonly url: string
  readonly token: string | undefined
  readonly credentials: Credentials | undefined
  readonly ca: string
}): Promise<number> {
  const { url, token, credentials, ca } = order
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return await new Promise((resolve) => {
    const signal = AbortSignal.timeout(PROBE_MS_MAX)
    const sent = request(url, { ca, ...credentials, agent: false, headers, signal }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    sent.on('error', () => resolve(0))
    sent.end()
  })
}
